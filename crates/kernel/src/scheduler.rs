//! How the kernel schedules the calling process: policy and priority (sched(7)), CPUs it may run on, I/O priority
//! (ioprio_set(2)). `runtime` sets them shortly before a container's program.

use crate::cpu_list::Mask;
use crate::error::{Error, Result, last_errno};
use rustix::io::Errno;

/// What sched_setattr(2) takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attributes {
    pub policy: u32,
    /// `SCHED_FLAG_*`
    pub flags: u64,
    /// -20 to 19.
    pub nice: i32,
    /// 1 to 99, for FIFO and RR.
    pub priority: u32,
    /// Nanoseconds, for DEADLINE, as the two below.
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// By names as in sched(7).
pub fn policy_from_name(name: &str) -> Option<u32> {
    Some(match name {
        "SCHED_OTHER" => 0,
        "SCHED_FIFO" => 1,
        "SCHED_RR" => 2,
        "SCHED_BATCH" => 3,
        "SCHED_ISO" => 4,
        "SCHED_IDLE" => 5,
        "SCHED_DEADLINE" => 6,
        _ => return None,
    })
}

/// By names as in sched_setattr(2); the last two since Linux 5.3.
pub fn flag_from_name(name: &str) -> Option<u64> {
    Some(match name {
        "SCHED_FLAG_RESET_ON_FORK" => 0x1,
        "SCHED_FLAG_RECLAIM" => 0x2,
        "SCHED_FLAG_DL_OVERRUN" => 0x4,
        "SCHED_FLAG_KEEP_POLICY" => 0x8,
        "SCHED_FLAG_KEEP_PARAMS" => 0x10,
        "SCHED_FLAG_UTIL_CLAMP_MIN" => 0x20,
        "SCHED_FLAG_UTIL_CLAMP_MAX" => 0x40,
        _ => return None,
    })
}

/// struct sched_attr of linux/sched/types.h in its second version (Linux 5.3).
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    utilisation_min: u32,
    utilisation_max: u32,
}

/// `EPERM` without CAP_SYS_NICE where more than now is asked for, `EINVAL` for a policy that the kernel does not have
/// (SCHED_ISO in all so far), `EBUSY` when a deadline cannot be kept.
pub fn set(attributes: &Attributes) -> Result<()> {
    let Attributes { policy, flags, nice, priority, runtime, deadline, period } = *attributes;
    let raw = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy,
        flags,
        nice,
        priority,
        runtime,
        deadline,
        period,
        utilisation_min: 0,
        utilisation_max: 0,
    };
    // SAFETY: the kernel reads `size` bytes of `raw`.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const raw, 0) };
    if result == 0 { Ok(()) } else { Err(Error::new("set scheduler", last_errno())) }
}

/// Lets the calling thread run on the CPUs of `cpus` that its cpuset has. `EINVAL` when it has none of them.
pub fn set_affinity(cpus: &Mask) -> Result<()> {
    let words = cpus.words();
    // SAFETY: the kernel reads as many bytes as are said.
    let result = unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(words), words.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(Error::new("set CPU affinity", last_errno())) }
}

/// Of ioprio_set(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoClass {
    RealTime = 1,
    BestEffort = 2,
    Idle = 3,
}

/// For the calling process's group; 0 is the highest `priority`, 7 the lowest. `EPERM` for a real-time class without
/// CAP_SYS_ADMIN or CAP_SYS_NICE.
pub fn set_io_priority(class: IoClass, priority: u8) -> Result<()> {
    const IOPRIO_WHO_PGRP: libc::c_int = 2;
    const IOPRIO_CLASS_SHIFT: u32 = 13;
    if priority > 7 {
        return Err(Error::new(format!("set I/O priority {priority}"), Errno::INVAL));
    }
    let value = (class as libc::c_int) << IOPRIO_CLASS_SHIFT | libc::c_int::from(priority);
    // SAFETY: ioprio_set takes three integers.
    let result = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PGRP, 0, value) };
    if result == 0 { Ok(()) } else { Err(Error::new("set I/O priority", last_errno())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(policy_from_name("SCHED_BATCH"), Some(3));
        assert_eq!(policy_from_name("BATCH"), None);
        assert_eq!(flag_from_name("SCHED_FLAG_UTIL_CLAMP_MAX"), Some(0x40));
        assert_eq!(size_of::<SchedAttr>(), 56);
    }

    #[test]
    fn a_thread_changes_itself() {
        // In a thread of its own, which ends with what it changed. The I/O priority would be the whole group's.
        std::thread::spawn(|| {
            set(&Attributes { policy: 3, nice: 5, ..Attributes::default() }).unwrap();
            set_affinity(&Mask::all()).unwrap();
            assert_eq!(set_affinity(&Mask::default()).unwrap_err().errno, Errno::INVAL);
            assert_eq!(set(&Attributes { policy: 77, ..Attributes::default() }).unwrap_err().errno, Errno::INVAL);
            assert_eq!(set_io_priority(IoClass::Idle, 8).unwrap_err().errno, Errno::INVAL);
        })
        .join()
        .unwrap();
    }
}
