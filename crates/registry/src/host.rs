//! Names of machines in references and URLs: docker.io lives at another host, loopback in all its
//! spellings, which URLs have one origin, where a `Location` leads. How far a machine is trusted is
//! decided in `hosts`.

use std::net::{IpAddr, Ipv6Addr};

use ureq::http::Uri;
use ureq::http::uri::Authority;

/// Where the API of registry `name` is served. Docker Hub's images are named after one host and
/// served by another.
pub fn api_authority(name: &str) -> &str {
    match name {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        other => other,
    }
}

/// Whether a registry's name can be put into a URL: references allow more (port 99999, `[:]`). A port has one spelling,
/// so that rules for `host:5000` hold for all that leads there.
pub fn is_authority(name: &str) -> bool {
    let Ok(authority) = name.parse::<Authority>() else { return false };
    let host = authority.host();
    let port_fits = match name[host.len()..].strip_prefix(':') {
        Some(port) => !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok(),
        None => name.len() == host.len(),
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    !host.is_empty() && port_fits && address.is_none_or(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// Case, leading zeros of a port, the port of HTTPS, a final dot and the names of Docker Hub's hosts make no difference to
/// where a request goes.
pub fn canonical_registry(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    // In brackets a colon is part of the address.
    let (host, port) = match name.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.trim_start_matches('0')),
        _ => (&*name, ""),
    };
    let host = match host.strip_suffix('.').unwrap_or(host) {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => "docker.io",
        host => host,
    };
    if port.is_empty() || port == "443" { host.to_owned() } else { format!("{host}:{port}") }
}

/// Whether `authority` is this machine: `localhost` and what is under it (RFC 6761 section 6.3),
/// 127.0.0.0/8 and `::1`.
pub fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    if host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost") {
        return true;
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether both URLs have the same scheme, host and port: the condition for sending the
/// `Authorization` of one to the other.
pub fn same_origin(a: &Uri, b: &Uri) -> bool {
    a.scheme_str() == b.scheme_str()
        && a.host().map(str::to_ascii_lowercase) == b.host().map(str::to_ascii_lowercase)
        && port(a) == port(b)
}

fn port(uri: &Uri) -> u16 {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    uri.port_u16().unwrap_or(default)
}

/// Resolves a `Location` value against the URL that was asked (RFC 3986 section 5, without the
/// dot segments that no registry sends). `None` if the result is no http or https URL.
pub fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    let scheme = base.scheme_str()?;
    let authority = base.authority()?;
    let absolute = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.contains("://") {
        location.to_owned()
    } else {
        let directory = base.path().rsplit_once('/').map_or("", |(head, _)| head);
        format!("{scheme}://{authority}{directory}/{location}")
    };
    let uri: Uri = absolute.parse().ok()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_url_can_hold() {
        for name in ["docker.io", "localhost:5000", "[::1]:5000", "[fe80::1]", "Reg:65535"] {
            assert!(is_authority(name), "{name}");
        }
        for name in ["reg:99999", "reg:0", "reg:", "[:]", "[:]:80", "[1:2]", "user@reg", "reg:80:80", "", ":80", "a b"]
        {
            assert!(!is_authority(name), "{name}");
        }
        assert!(!is_authority("reg:05000") && !is_authority("reg:0443"), "a second spelling");
    }

    #[test]
    fn origin_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| same_origin(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://Reg.io/v2/", "https://reg.io:443/other"));
        assert!(!same("https://reg.io/", "http://reg.io/"));
        assert!(!same("https://reg.io/", "https://reg.io:444/"));
        assert!(!same("https://reg.io/", "https://reg.io.evil/"));
    }

    #[test]
    fn locations_resolve() {
        let base: Uri = "https://reg.io:5000/v2/x/blobs/d?a=b".parse().unwrap();
        for (location, expected) in [
            ("/other?q=1", "https://reg.io:5000/other?q=1"),
            ("//cdn.io/x", "https://cdn.io/x"),
            ("http://cdn.io/x#frag", "http://cdn.io/x"),
            ("e", "https://reg.io:5000/v2/x/blobs/e"),
        ] {
            assert_eq!(resolve(&base, location).unwrap().to_string(), expected, "{location}");
        }
        for location in ["file:///etc/passwd", "ftp://x/y", "https://"] {
            assert!(resolve(&base, location).is_none(), "{location}");
        }
    }
}
