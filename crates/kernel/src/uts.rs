//! Host and domain name of the calling process's UTS namespace (uts_namespaces(7)).

use crate::error::{Context, Result, last_errno};

/// At most 64 bytes (`EINVAL` above). `EPERM` without CAP_SYS_ADMIN over the namespace.
pub fn set_hostname(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).during(&format!("set host name {name:?}"))
}

/// The NIS domain name; the same limits.
pub fn set_domainname(name: &str) -> Result<()> {
    // SAFETY: the kernel reads `len` bytes of `name`.
    let result = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len() as _) };
    let result = if result == 0 { Ok(()) } else { Err(last_errno()) };
    result.during(&format!("set domain name {name:?}"))
}
