//! The two doors through which 32-bit x86 programs reach sockets and System V IPC: `socketcall` and `ipc` take the number
//! of the real call as their first argument (socketcall(2), ipc(2)). A policy that names `socket` means this way too.
//! Only `compile.rs` asks; the other architectures have direct calls alone.

use super::policy::{Comparison, Test};
use super::syscall::{Syscall, named};

const SOCKETCALL: Syscall = named(&["socketcall"])[0];
const IPC: Syscall = named(&["ipc"])[0];

/// In the order of socketcall's numbers, from 1 (linux/net.h, `SYS_SOCKET` …).
const SOCKET_CALLS: [Syscall; 20] = named(&[
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
]);

/// linux/ipc.h, `SEMOP` …
const IPC_NUMBERS: [u64; 12] = [1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24];
const IPC_CALLS: [Syscall; 12] = named(&[
    "semop",
    "semget",
    "semctl",
    "semtimedop",
    "msgsnd",
    "msgrcv",
    "msgget",
    "msgctl",
    "shmat",
    "shmdt",
    "shmget",
    "shmctl",
]);

const COUNT: usize = SOCKET_CALLS.len() + IPC_CALLS.len();

/// (the call as named in a rule, the door, the test for it).
static DOORS: [(Syscall, Syscall, Test); COUNT] = {
    let mut doors = [(SOCKETCALL, SOCKETCALL, ANY); COUNT];
    let mut i = 0;
    while i < SOCKET_CALLS.len() {
        let test = Test { argument: 0, comparison: Comparison::Equal(i as u64 + 1) };
        doors[i] = (SOCKET_CALLS[i], SOCKETCALL, test);
        i += 1;
    }
    let mut i = 0;
    while i < IPC_CALLS.len() {
        // The upper half of the number is a version, which the kernel splits off.
        let comparison = Comparison::MaskedEqual { mask: 0xffff, value: IPC_NUMBERS[i] };
        doors[SOCKET_CALLS.len() + i] = (IPC_CALLS[i], IPC, Test { argument: 0, comparison });
        i += 1;
    }
    doors
};

const ANY: Test = Test { argument: 0, comparison: Comparison::GreaterOrEqual(0) };

/// The other way to `syscall` on 32-bit x86, and the test on its arguments that tells it apart.
pub(super) fn door_to(syscall: Syscall) -> Option<(Syscall, &'static Test)> {
    DOORS.iter().find(|(call, ..)| *call == syscall).map(|(_, door, test)| (*door, test))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_those_of_the_kernel_headers() {
        for (name, door, number) in [
            ("socket", "socketcall", 1),
            ("accept", "socketcall", 5),
            ("recv", "socketcall", 10),
            ("sendmmsg", "socketcall", 20),
            ("semop", "ipc", 1),
            ("msgsnd", "ipc", 11),
            ("shmctl", "ipc", 24),
        ] {
            let (found, test) = door_to(Syscall::from_name(name).unwrap()).unwrap();
            let value = match test.comparison {
                Comparison::Equal(value) | Comparison::MaskedEqual { mask: 0xffff, value } => value,
                other => panic!("{other:?}"),
            };
            assert_eq!((found.name(), value), (door, number), "{name}");
        }
        assert!(door_to(SOCKETCALL).is_none() && door_to(named(&["read"])[0]).is_none());
    }
}
