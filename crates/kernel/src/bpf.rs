//! Device filters of cgroup version 2: a small program of ours in the kernel (bpf(2),
//! BPF_PROG_TYPE_CGROUP_DEVICE) that is run at each open and mknod of a device. Compiled here from
//! the state that the rules come to, called by `cgroup::v2` only. Seccomp's classic BPF is
//! elsewhere, in `seccomp`.

use crate::cgroup::{DeviceKind, DeviceState, Exception};
use crate::error::last_errno;
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

// Opcodes (Documentation/bpf/standardization/instruction-set.rst). Those named `32` clear the upper
// half of their register. `K` takes the immediate, `X` a register.
const LOAD32: u8 = 0x61;
const MOVE32_X: u8 = 0xbc;
const XOR32_K: u8 = 0xa4;
const AND32_K: u8 = 0x54;
const OR32_X: u8 = 0x4c;
const SHIFT_LEFT32_K: u8 = 0x64;
const MOVE_K: u8 = 0xb7;
const ADD_K: u8 = 0x07;
const XOR_K: u8 = 0xa7;
const AND_K: u8 = 0x57;
const AND_X: u8 = 0x5f;
const OR_X: u8 = 0x4f;
const NEGATE: u8 = 0x87;
const SHIFT_RIGHT_K: u8 = 0x77;
const EXIT: u8 = 0x95;

// What the program keeps where. R1 is the context at the start and scratch later.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const REQUEST: u8 = 2;
const DEVICE: u8 = 3;
const DIFFERENCE: u8 = 4;
const SCRATCH: u8 = 1;

/// The kernel's device numbers: 12 bits of major, 20 of minor (linux/kdev_t.h).
const MINOR_BITS: u32 = 20;
const MAJOR_MAX: u32 = 0xfff;
const MINOR_MAX: u32 = 0xf_ffff;

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

/// Where the default is to deny, a request must be covered whole by one exception; where it is to
/// allow, any overlap denies. That is how version 1 decides (security/device_cgroup.c).
///
/// There is no jump in the program: the kernel verifies every path through it at each load, and a
/// dozen rules of three comparisons took 0.6 ms, without jumps they take a third of that.
fn compile(state: &DeviceState) -> Vec<Instruction> {
    // `struct bpf_cgroup_dev_ctx`: access << 16 | kind, major, minor.
    let load =
        |register, offset| Instruction { code: LOAD32, registers: register | CONTEXT << 4, offset, immediate: 0 };
    let mut program = vec![
        load(REQUEST, 0),
        load(DEVICE, 4),
        k(SHIFT_LEFT32_K, DEVICE, MINOR_BITS),
        load(SCRATCH, 8), // the context is no longer needed
        x(OR32_X, DEVICE, SCRATCH),
        k(MOVE_K, ANSWER, 0),
    ];
    for exception in &state.exceptions {
        let device = (exception.major.unwrap_or(0), exception.minor.unwrap_or(0));
        if device.0 <= MAJOR_MAX && device.1 <= MINOR_MAX {
            program.extend(matching(exception, state.allow_by_default));
        }
    }
    program.push(k(XOR_K, ANSWER, u32::from(state.allow_by_default)));
    // Changes nothing, but tells the kernel's verifier (6.1, for one) that the answer is 0 or 1.
    program.push(k(AND_K, ANSWER, 1));
    program.push(k(EXIT, 0, 0));
    program
}

/// Sets ANSWER to 1 when the request is within (or, `allow_by_default`, touches) `exception`.
fn matching(exception: &Exception, allow_by_default: bool) -> Vec<Instruction> {
    let covered = u32::from(exception.access.bits());
    let (kind, kind_bits) = match exception.kind {
        DeviceKind::All => (0, 0),
        DeviceKind::Block => (KIND_BLOCK, 0xffff),
        DeviceKind::Character => (KIND_CHARACTER, 0xffff),
    };
    let access_bits = if allow_by_default { 0 } else { !covered & 7 };
    let major_bits = exception.major.map_or(0, |_| MAJOR_MAX << MINOR_BITS);
    let minor_bits = exception.minor.map_or(0, |_| MINOR_MAX);
    let device = exception.major.unwrap_or(0) << MINOR_BITS | exception.minor.unwrap_or(0);
    // What of the request may not differ; 0 when nothing does.
    let mut block = vec![
        x(MOVE32_X, DIFFERENCE, REQUEST),
        k(XOR32_K, DIFFERENCE, kind),
        k(AND32_K, DIFFERENCE, kind_bits | access_bits << 16),
    ];
    if major_bits | minor_bits != 0 {
        block.extend([
            x(MOVE32_X, SCRATCH, DEVICE),
            k(XOR32_K, SCRATCH, device),
            k(AND32_K, SCRATCH, major_bits | minor_bits),
            x(OR32_X, DIFFERENCE, SCRATCH),
        ]);
    }
    // Less 1, only 0 becomes negative: the sign is 1 for a match.
    block.extend([k(ADD_K, DIFFERENCE, u32::MAX), k(SHIFT_RIGHT_K, DIFFERENCE, 63)]);
    if allow_by_default {
        // Negated, everything but 0 has the sign.
        block.extend([
            x(MOVE32_X, SCRATCH, REQUEST),
            k(AND32_K, SCRATCH, covered << 16),
            k(NEGATE, SCRATCH, 0),
            k(SHIFT_RIGHT_K, SCRATCH, 63),
            x(AND_X, DIFFERENCE, SCRATCH),
        ]);
    }
    block.push(x(OR_X, ANSWER, DIFFERENCE));
    block
}

/// An instruction with an immediate, of which the kernel extends the sign for 64 bits.
fn k(code: u8, register: u8, immediate: u32) -> Instruction {
    Instruction { code, registers: register, offset: 0, immediate: immediate as i32 }
}

/// An instruction on two registers.
fn x(code: u8, target: u8, source: u8) -> Instruction {
    Instruction { code, registers: target | source << 4, offset: 0, immediate: 0 }
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
            Errno::NOSYS => "load device filter: the kernel lacks CONFIG_BPF_SYSCALL",
            Errno::INVAL => "load device filter: refused by the kernel; it may lack CONFIG_CGROUP_BPF",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::{Access, DeviceRule};
    use proptest::prelude::*;

    fn rule(allow: bool, kind: DeviceKind, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
        DeviceRule { allow, kind, major, minor, access: Access::parse(access).unwrap() }
    }

    /// Runs a program as the kernel would; only what `compile` uses.
    fn run(program: &[Instruction], access: u32, kind: u32, major: u32, minor: u32) -> u64 {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0u64; 5];
        for i in program {
            let (to, from) = ((i.registers & 15) as usize, registers[(i.registers >> 4) as usize]);
            let now = registers[to];
            let immediate = i64::from(i.immediate) as u64;
            let low = |value: u64| value & 0xffff_ffff;
            registers[to] = match i.code {
                LOAD32 => u64::from(context[i.offset as usize / 4]),
                MOVE32_X => low(from),
                XOR32_K => low(now ^ immediate),
                AND32_K => low(now & immediate),
                OR32_X => low(now | from),
                SHIFT_LEFT32_K => low(now << immediate),
                MOVE_K => immediate,
                ADD_K => now.wrapping_add(immediate),
                XOR_K => now ^ immediate,
                AND_K => now & immediate,
                AND_X => now & from,
                OR_X => now | from,
                NEGATE => now.wrapping_neg(),
                SHIFT_RIGHT_K => now >> immediate,
                EXIT => return now,
                other => panic!("opcode {other:#x}"),
            };
        }
        panic!("no exit");
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
            rule(true, Block, Some(0xfff), Some(0xf_ffff), "r"),
            rule(true, Block, Some(0x1000), Some(8), "rwm"),
            rule(true, Block, None, Some(5), "w"),
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
                ("r", B, 0xfff, 0xf_ffff, true),
                ("w", B, 0xfff, 0xf_ffff, false),
                ("r", B, 0xfff, 0xf_fffe, false),
                ("r", B, 0, 8, false),
                ("w", B, 99, 5, true),
                ("r", B, 99, 5, false),
            ],
        );
        let all_but = [rule(false, Character, Some(10), Some(229), "w")];
        check(
            &all_but,
            &[("r", C, 10, 229, true), ("rw", C, 10, 229, false), ("rw", C, 10, 200, true), ("w", B, 10, 229, true)],
        );
    }

    /// security/device_cgroup.c, match_exception and match_exception_partial.
    fn decide(state: &DeviceState, access: u8, kind: DeviceKind, major: u32, minor: u32) -> bool {
        let matching = state.exceptions.iter().any(|e| {
            let devices = e.kind == kind && e.major.is_none_or(|m| m == major) && e.minor.is_none_or(|m| m == minor);
            devices
                && if state.allow_by_default { access & e.access.bits() != 0 } else { access & !e.access.bits() == 0 }
        });
        matching != state.allow_by_default
    }

    fn any_rule() -> impl Strategy<Value = DeviceRule> {
        let kind =
            prop_oneof![1 => Just(DeviceKind::All), 5 => Just(DeviceKind::Block), 5 => Just(DeviceKind::Character)];
        let access = prop::sample::subsequence(vec!["r", "w", "m"], 1..=3).prop_map(|letters| letters.concat());
        let number = || prop::option::of(prop_oneof![0u32..3, Just(0xfff), Just(0x1001), Just(0xf_ffff)]);
        (any::<bool>(), kind, number(), number(), access)
            .prop_map(|(allow, kind, a, i, access)| rule(allow, kind, a, i, &access))
    }

    proptest! {
        #[test]
        fn the_program_decides_as_the_state(rules in prop::collection::vec(any_rule(), 0..6), access in 1u8..8, block: bool,
                                            major in prop_oneof![0u32..3, Just(0xfff)], minor in prop_oneof![0u32..3, Just(0xfff), Just(0xf_ffff)]) {
            // Rules that contradict each other are refused elsewhere.
            if let Ok(state) = DeviceState::of(&rules) {
                let (kind, number) = if block { (DeviceKind::Block, KIND_BLOCK) } else { (DeviceKind::Character, KIND_CHARACTER) };
                let answer = run(&compile(&state), u32::from(access), number, major, minor);
                prop_assert_eq!(answer, u64::from(decide(&state, access, kind, major, minor)));
            }
        }
    }
}
