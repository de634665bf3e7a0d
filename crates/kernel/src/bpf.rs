//! Device filters of cgroup version 2: a small program of ours in the kernel (bpf(2),
//! BPF_PROG_TYPE_CGROUP_DEVICE) that is run at each open and mknod of a device. Compiled here from
//! the state that the rules come to, called by `cgroup::v2` only. Seccomp's classic BPF is
//! elsewhere, in `seccomp`.

use crate::cgroup::{Access, DeviceKind, DeviceState, Exception};
use crate::{Error, Result};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// One instruction as the kernel has it (`struct bpf_insn`, linux/bpf.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high half.
    registers: u8,
    offset: i16,
    immediate: i32,
}

// Opcodes (Documentation/bpf/standardization/instruction-set.rst). All compare and compute in 32 bits.
const LOAD_WORD: u8 = 0x61;
const MOVE_REGISTER: u8 = 0xbc;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_IF_EQUAL: u8 = 0x16;
const JUMP_IF_NOT_EQUAL: u8 = 0x56;
const MOVE: u8 = 0xb4;
const EXIT: u8 = 0x95;

// What the program keeps where. R0 is the answer, R1 the context at the start and scratch later.
const ANSWER: u8 = 0;
const SCRATCH: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

/// linux/bpf.h, BPF_DEVCG_DEV_BLOCK and BPF_DEVCG_DEV_CHAR.
const KIND_BLOCK: u32 = 1;
const KIND_CHARACTER: u32 = 2;

// linux/bpf.h
const PROG_LOAD: u32 = 5;
const PROG_ATTACH: u32 = 8;
const PROG_DETACH: u32 = 9;
const PROG_GET_FD_BY_ID: u32 = 13;
const PROG_QUERY: u32 = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const FLAG_ALLOW_MULTI: u32 = 2;
const FLAG_REPLACE: u32 = 4;
/// The kernel's own bound on programs attached to one group (BPF_CGROUP_MAX_PROGS).
const PROGRAMS_MAX: usize = 64;

/// Lets `state` decide for the group behind directory descriptor `group`, together with the programs
/// of the groups above, of which each may deny. Needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN.
pub fn attach_device_filter(group: &impl AsFd, state: &DeviceState) -> Result<()> {
    attach(group, &load(&compile(state))?, FLAG_ALLOW_MULTI, None)
}

/// The same where one is attached already: exchanged in one step, so that at no time nothing or both
/// decide. Others, left by a caller that was killed, are detached.
pub fn replace_device_filter(group: &impl AsFd, state: &DeviceState) -> Result<()> {
    let new = load(&compile(state))?;
    let old = attached(group)?;
    match old.as_slice() {
        [] => attach(group, &new, FLAG_ALLOW_MULTI, None),
        [first, rest @ ..] => {
            attach(group, &new, FLAG_ALLOW_MULTI | FLAG_REPLACE, Some(first))?;
            rest.iter().try_for_each(|program| detach(group, program))
        }
    }
}

/// Each exception is a block that jumps to the next one where it does not match; what matches none
/// gets the default. Where the default is to deny, a request must be covered whole by one exception;
/// where it is to allow, any overlap denies. That is how version 1 decides (security/device_cgroup.c).
fn compile(state: &DeviceState) -> Vec<Instruction> {
    let mut program = vec![
        // `struct bpf_cgroup_dev_ctx`: access << 16 | kind, major, minor.
        Instruction { code: LOAD_WORD, registers: KIND | SCRATCH << 4, offset: 0, immediate: 0 },
        Instruction { code: LOAD_WORD, registers: MAJOR | SCRATCH << 4, offset: 4, immediate: 0 },
        Instruction { code: LOAD_WORD, registers: MINOR | SCRATCH << 4, offset: 8, immediate: 0 },
        Instruction { code: MOVE_REGISTER, registers: ACCESS | KIND << 4, offset: 0, immediate: 0 },
        on(SHIFT_RIGHT, ACCESS, 16),
        on(AND, KIND, 0xffff),
    ];
    for exception in &state.exceptions {
        let mut block = conditions(exception, state.allow_by_default);
        block.extend([on(MOVE, ANSWER, u32::from(!state.allow_by_default)), on(EXIT, 0, 0)]);
        let length = block.len();
        for (index, instruction) in block.iter_mut().enumerate() {
            if matches!(instruction.code, JUMP_IF_EQUAL | JUMP_IF_NOT_EQUAL) {
                // At most eleven instructions; jumps count from the one after.
                instruction.offset = (length - index - 1) as i16;
            }
        }
        program.extend(block);
    }
    program.extend([on(MOVE, ANSWER, u32::from(state.allow_by_default)), on(EXIT, 0, 0)]);
    program
}

/// Jumps, of which the targets are still open, for requests that `exception` says nothing about.
fn conditions(exception: &Exception, allow_by_default: bool) -> Vec<Instruction> {
    let mut block = Vec::with_capacity(11);
    match exception.kind {
        DeviceKind::All => {}
        DeviceKind::Block => block.push(on(JUMP_IF_NOT_EQUAL, KIND, KIND_BLOCK)),
        DeviceKind::Character => block.push(on(JUMP_IF_NOT_EQUAL, KIND, KIND_CHARACTER)),
    }
    if let Some(major) = exception.major {
        block.push(on(JUMP_IF_NOT_EQUAL, MAJOR, major));
    }
    if let Some(minor) = exception.minor {
        block.push(on(JUMP_IF_NOT_EQUAL, MINOR, minor));
    }
    if exception.access != Access::ALL {
        let covered = exception.access.bits();
        let (mask, unless) =
            if allow_by_default { (covered, JUMP_IF_EQUAL) } else { (!covered & 7, JUMP_IF_NOT_EQUAL) };
        block.push(Instruction { code: MOVE_REGISTER, registers: SCRATCH | ACCESS << 4, offset: 0, immediate: 0 });
        block.push(on(AND, SCRATCH, u32::from(mask)));
        block.push(on(unless, SCRATCH, 0));
    }
    block
}

fn on(code: u8, register: u8, immediate: u32) -> Instruction {
    // The kernel's field is signed; the 32 bits are what counts.
    Instruction { code, registers: register, offset: 0, immediate: immediate as i32 }
}

#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

fn load(program: &[Instruction]) -> Result<OwnedFd> {
    let attributes = LoadAttributes {
        program_type: TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"brig_devices\0\0\0\0",
    };
    // SAFETY: the program and the license outlive the call, and `count` is the program's length.
    let fd = unsafe { bpf(PROG_LOAD, &attributes) }.map_err(|errno| {
        let action = match errno {
            Errno::PERM => "load device filter: it needs CAP_BPF (or CAP_SYS_ADMIN) in the first user namespace",
            Errno::NOSYS | Errno::INVAL => "load device filter: the kernel lacks CONFIG_CGROUP_BPF",
            _ => "load device filter",
        };
        Error::new(action, errno)
    })?;
    // SAFETY: on success the kernel returned a new descriptor (with O_CLOEXEC) that is ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[repr(C)]
struct AttachAttributes {
    group: i32,
    program: i32,
    attach_type: u32,
    flags: u32,
    replaced: i32,
}

fn attach(group: &impl AsFd, program: &OwnedFd, flags: u32, replaced: Option<&OwnedFd>) -> Result<()> {
    let attributes = AttachAttributes {
        group: group.as_fd().as_raw_fd(),
        program: program.as_raw_fd(),
        attach_type: ATTACH_CGROUP_DEVICE,
        flags,
        replaced: replaced.map_or(0, AsRawFd::as_raw_fd),
    };
    // SAFETY: holds no pointers.
    let result = unsafe { bpf(PROG_ATTACH, &attributes) };
    result.map(drop).map_err(|errno| Error::new("attach device filter to cgroup", errno))
}

fn detach(group: &impl AsFd, program: &OwnedFd) -> Result<()> {
    let attributes = AttachAttributes {
        group: group.as_fd().as_raw_fd(),
        program: program.as_raw_fd(),
        attach_type: ATTACH_CGROUP_DEVICE,
        flags: 0,
        replaced: 0,
    };
    // SAFETY: holds no pointers.
    let result = unsafe { bpf(PROG_DETACH, &attributes) };
    result.map(drop).map_err(|errno| Error::new("detach device filter from cgroup", errno))
}

#[repr(C)]
struct QueryAttributes {
    group: i32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
}

#[repr(C)]
struct IdAttributes {
    id: u32,
    next: u32,
    flags: u32,
}

/// The filters attached to this very group.
fn attached(group: &impl AsFd) -> Result<Vec<OwnedFd>> {
    let mut ids = [0u32; PROGRAMS_MAX];
    let mut query = QueryAttributes {
        group: group.as_fd().as_raw_fd(),
        attach_type: ATTACH_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: PROGRAMS_MAX as u32,
    };
    // SAFETY: `ids` has room for `count` numbers; the kernel writes them and the new count.
    unsafe { bpf_mut(PROG_QUERY, &mut query) }.map_err(|errno| Error::new("list device filters of cgroup", errno))?;
    let open = |id: &u32| {
        // SAFETY: holds no pointers.
        let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &IdAttributes { id: *id, next: 0, flags: 0 }) };
        // SAFETY: on success the kernel returned a new descriptor that is ours.
        fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) }).map_err(|errno| Error::new("open device filter", errno))
    };
    ids.iter().take(query.count as usize).map(open).collect()
}

/// # Safety
/// Pointers within `attributes` must be what bpf(2) wants of them for `command`.
unsafe fn bpf<T>(command: u32, attributes: &T) -> rustix::io::Result<i64> {
    // SAFETY: the size tells the kernel how much to read; the rest of its union counts as zero.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes as *const T, size_of::<T>()) };
    if result < 0 { Err(last_errno()) } else { Ok(result) }
}

/// For commands that answer in `attributes`.
///
/// # Safety
/// As `bpf`.
unsafe fn bpf_mut<T>(command: u32, attributes: &mut T) -> rustix::io::Result<i64> {
    // SAFETY: as above, and the reference is exclusive.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes as *mut T, size_of::<T>()) };
    if result < 0 { Err(last_errno()) } else { Ok(result) }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::DeviceRule;

    fn rule(allow: bool, kind: DeviceKind, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
        DeviceRule { allow, kind, major, minor, access: Access::parse(access).unwrap() }
    }

    /// Runs a program as the kernel would; only what `compile` uses.
    fn run(program: &[Instruction], access: u32, kind: u32, major: u32, minor: u32) -> u32 {
        let context = [access << 16 | kind, major, minor];
        let (mut registers, mut next) = ([0u32; 6], 0);
        loop {
            let i = program[next];
            let (to, from) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
            let value = i.immediate as u32;
            next += 1;
            match i.code {
                LOAD_WORD => registers[to] = context[i.offset as usize / 4],
                MOVE_REGISTER => registers[to] = registers[from],
                MOVE => registers[to] = value,
                AND => registers[to] &= value,
                SHIFT_RIGHT => registers[to] >>= value,
                JUMP_IF_EQUAL if registers[to] == value => next += i.offset as usize,
                JUMP_IF_NOT_EQUAL if registers[to] != value => next += i.offset as usize,
                JUMP_IF_EQUAL | JUMP_IF_NOT_EQUAL => {}
                EXIT => return registers[0],
                other => panic!("opcode {other:#x}"),
            }
        }
    }

    fn check(rules: &[DeviceRule], requests: &[(&str, u32, u32, u32, bool)]) {
        let program = compile(&DeviceState::of(rules).unwrap());
        for &(access, kind, major, minor, allowed) in requests {
            let bits = u32::from(Access::parse(access).unwrap().bits());
            assert_eq!(
                run(&program, bits, kind, major, minor) == 1,
                allowed,
                "{access} {kind} {major}:{minor} under {rules:?}"
            );
        }
    }

    #[test]
    fn requests_are_decided_as_version_1_does() {
        use DeviceKind::{All, Block, Character};
        const B: u32 = KIND_BLOCK;
        const C: u32 = KIND_CHARACTER;
        check(&[], &[("rwm", C, 1, 3, true), ("rw", B, 8, 0, true)]);
        let nothing = rule(false, All, None, None, "rwm");
        check(std::slice::from_ref(&nothing), &[("r", C, 1, 3, false), ("m", B, 8, 0, false)]);
        let docker = [
            nothing.clone(),
            rule(true, Character, None, None, "m"),
            rule(true, Character, Some(1), Some(3), "rwm"),
            rule(true, Character, Some(136), None, "rwm"),
            rule(true, Block, Some(u32::MAX), Some(7), "r"),
        ];
        check(
            &docker,
            &[
                ("rw", C, 1, 3, true),
                ("rwm", C, 1, 3, true),
                ("m", C, 1, 4, true),
                ("rm", C, 1, 4, false),
                ("m", B, 1, 3, false),
                ("rw", C, 136, 99, true),
                ("r", B, u32::MAX, 7, true),
                ("w", B, u32::MAX, 7, false),
                ("r", B, u32::MAX, 8, false),
            ],
        );
        let all_but = [rule(false, Character, Some(10), Some(229), "w")];
        check(
            &all_but,
            &[("r", C, 10, 229, true), ("rw", C, 10, 229, false), ("rw", C, 10, 200, true), ("w", B, 10, 229, true)],
        );
    }
}
