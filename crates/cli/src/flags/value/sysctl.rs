//! `--sysctl NAME=VALUE`: only those that belong to a namespace of the container; any other would change the host.
//! The engine refuses those of a namespace that the container shares.

/// Name and value.
pub fn parse(text: &str) -> Result<(String, String), String> {
    let refused = || format!("sysctl '{text}' is not allowed");
    let (name, value) = text.split_once('=').ok_or_else(refused)?;
    let name = name.trim().replace('/', ".");
    let own = matches!(
        name.as_str(),
        "kernel.msgmax"
            | "kernel.msgmnb"
            | "kernel.msgmni"
            | "kernel.sem"
            | "kernel.shmall"
            | "kernel.shmmax"
            | "kernel.shmmni"
            | "kernel.shm_rmid_forced"
            | "kernel.domainname"
    );
    if !own && !name.starts_with("net.") && !name.starts_with("fs.mqueue.") {
        return Err(refused());
    }
    Ok((name, value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaced() {
        assert_eq!(parse("net.ipv4.ip_forward=1"), Ok(("net.ipv4.ip_forward".into(), "1".into())));
        assert_eq!(parse("foo"), Err("sysctl 'foo' is not allowed".into()));
        assert!(parse("kernel.core_pattern=|/evil").is_err());
        assert!(parse("vm.swappiness=1").is_err());
    }
}
