//! Errno names, which podman's profiles use where docker's have numbers. The numbers are those of asm-generic/errno.h,
//! which x86 and ARM share.

/// Indexed by number; empty where no errno has it.
#[rustfmt::skip]
const NAMES: [&str; 134] = [
    "", "EPERM", "ENOENT", "ESRCH", "EINTR", "EIO", "ENXIO", "E2BIG", "ENOEXEC", "EBADF", // 0
    "ECHILD", "EAGAIN", "ENOMEM", "EACCES", "EFAULT", "ENOTBLK", "EBUSY", "EEXIST", "EXDEV", "ENODEV", // 10
    "ENOTDIR", "EISDIR", "EINVAL", "ENFILE", "EMFILE", "ENOTTY", "ETXTBSY", "EFBIG", "ENOSPC", "ESPIPE", // 20
    "EROFS", "EMLINK", "EPIPE", "EDOM", "ERANGE", "EDEADLK", "ENAMETOOLONG", "ENOLCK", "ENOSYS", "ENOTEMPTY", // 30
    "ELOOP", "", "ENOMSG", "EIDRM", "ECHRNG", "EL2NSYNC", "EL3HLT", "EL3RST", "ELNRNG", "EUNATCH", // 40
    "ENOCSI", "EL2HLT", "EBADE", "EBADR", "EXFULL", "ENOANO", "EBADRQC", "EBADSLT", "", "EBFONT", // 50
    "ENOSTR", "ENODATA", "ETIME", "ENOSR", "ENONET", "ENOPKG", "EREMOTE", "ENOLINK", "EADV", "ESRMNT", // 60
    "ECOMM", "EPROTO", "EMULTIHOP", "EDOTDOT", "EBADMSG", "EOVERFLOW", "ENOTUNIQ", "EBADFD", "EREMCHG", "ELIBACC", // 70
    "ELIBBAD", "ELIBSCN", "ELIBMAX", "ELIBEXEC", "EILSEQ", "ERESTART", "ESTRPIPE", "EUSERS", "ENOTSOCK", "EDESTADDRREQ", // 80
    "EMSGSIZE", "EPROTOTYPE", "ENOPROTOOPT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", // 90
    "EOPNOTSUPP", "EPFNOSUPPORT", "EAFNOSUPPORT", "EADDRINUSE", "EADDRNOTAVAIL", // 95
    "ENETDOWN", "ENETUNREACH", "ENETRESET", "ECONNABORTED", "ECONNRESET", // 100
    "ENOBUFS", "EISCONN", "ENOTCONN", "ESHUTDOWN", "ETOOMANYREFS", // 105
    "ETIMEDOUT", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "EALREADY", // 110
    "EINPROGRESS", "ESTALE", "EUCLEAN", "ENOTNAM", "ENAVAIL", "EISNAM", "EREMOTEIO", "EDQUOT", "ENOMEDIUM", "EMEDIUMTYPE", // 115
    "ECANCELED", "ENOKEY", "EKEYEXPIRED", "EKEYREVOKED", "EKEYREJECTED", // 125
    "EOWNERDEAD", "ENOTRECOVERABLE", "ERFKILL", "EHWPOISON", // 130
];

/// By name (`EPERM`) or by number in digits.
pub fn parse(text: &str) -> Option<u32> {
    let name = match text {
        "EWOULDBLOCK" => "EAGAIN",
        "EDEADLOCK" => "EDEADLK",
        "ENOTSUP" => "EOPNOTSUPP",
        "" => return None,
        other => other,
    };
    match NAMES.iter().position(|known| *known == name) {
        Some(number) => u32::try_from(number).ok(),
        None => name.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn names_have_the_numbers_of_this_machine() {
        for (name, errno) in [
            ("EPERM", Errno::PERM),
            ("ENOSYS", Errno::NOSYS),
            ("EBADSLT", Errno::BADSLT),
            ("EBFONT", Errno::BFONT),
            ("EDESTADDRREQ", Errno::DESTADDRREQ),
            ("ENOTSUP", Errno::NOTSUP),
            ("ETOOMANYREFS", Errno::TOOMANYREFS),
            ("EALREADY", Errno::ALREADY),
            ("EMEDIUMTYPE", Errno::MEDIUMTYPE),
            ("EHWPOISON", Errno::HWPOISON),
        ] {
            assert_eq!(parse(name), Some(errno.raw_os_error() as u32), "{name}");
        }
        assert_eq!(parse("13"), Some(13));
        assert_eq!((parse(""), parse("EFOO"), parse("-1")), (None, None, None));
    }
}
