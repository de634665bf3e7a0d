//! Real servers and clients, as people use networks: nginx, an application and PostgreSQL, from Debian's packages, asked by
//! curl and dig from another host; and docker and podman with networks of their own on the same machine.

use super::host::{Host, Place};
use crate::harness::peers::Peers;
use crate::harness::process::{tool, wait_until};
use crate::harness::sandbox::{is_docker, program};
use crate::slow::{RELEASES, debian_with, is_wanted};

/// Counts visits in a database, which it finds by its name.
const APPLICATION: &str = r#"
import http.server, psycopg2, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with psycopg2.connect(host="db", user="postgres", connect_timeout=5) as db, db.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS visits (client text)")
            cursor.execute("INSERT INTO visits VALUES (%s)", (self.headers["X-Real-IP"],))
            cursor.execute("SELECT count(*), count(DISTINCT client) FROM visits")
            count, clients = cursor.fetchone()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"visit {count} of {clients} by {self.headers['X-Real-IP']}\n".encode())
http.server.ThreadingHTTPServer.address_family = socket.AF_INET6
http.server.ThreadingHTTPServer(("::", 8000), Handler).serve_forever()
"#;
const DATABASE: &str = "
cd /tmp; bin=$(echo /usr/lib/postgresql/*/bin)
[ -d db ] || su postgres -c \"$bin/initdb -D db -A trust\" && echo 'host all all samenet trust' >>db/pg_hba.conf
exec su postgres -c \"exec $bin/postgres -D db -c listen_addresses='*' -c shared_buffers=16MB -c fsync=off\"
";
const SITE: &str = "
upstream application { server app:8000 max_fails=0; }
server {
    listen 80;
    listen [::]:80;
    error_log /dev/stderr;
    location / { proxy_pass http://application; proxy_set_header X-Real-IP $remote_addr; }
}";

/// Who publishes which port is asked from another host. docker lets nothing be forwarded but its own; its chain for users
/// lets containers of others through.
const BESIDE: &str = r#"
brig="$PWD/brig --root /tmp/brig/root --state /tmp/brig/state"
# The others' stores are kept between runs.
clear() { for engine in docker podman "$brig"; do $engine rm -f web; $engine network rm one; done >/dev/null 2>&1 || :; }
clear; trap clear EXIT
mkdir -p r/bin && cp "$(command -v busybox)" r/bin/ && for name in sh httpd echo mkdir wget true; do ln -sf busybox r/bin/$name; done
tar -C r -cf bb.tar .
docker import bb.tar bb >&2; podman import -q bb.tar bb >&2; $brig import bb.tar bb >&2
ip netns add outside
ip link add lan type veth peer name eth0 netns outside
ip addr add 192.0.2.1/24 dev lan; ip link set lan up
ip -n outside addr add 192.0.2.2/24 dev eth0; ip -n outside link set eth0 up
serve='mkdir /www; echo $0 >/www/index.html; exec httpd -f -p 80 -h /www'
docker network create one >&2; podman network create one >&2; $brig network create one >&2
docker run -d --name web --network one -p 8081:80 bb sh -c "$serve" docker >&2
podman run -d --name web --network one -p 8082:80 bb sh -c "$serve" podman >&2
$brig run -d --name web --network one -p 8083:80 bb sh -c "$serve" brig >&2
ask() { for n in $(seq 20); do ip netns exec outside busybox timeout 2 busybox wget -qO- http://192.0.2.1:$1/ && return; sleep 0.1; done; echo nobody; }
iptables -I DOCKER-USER -i 'brig+' -j ACCEPT; iptables -I DOCKER-USER -o 'brig+' -j ACCEPT
ask 8081; ask 8082; ask 8083
# Each goes on after the others have put their rules in place again, and after they have gone.
$brig network reload; podman network reload -a >&2
ask 8081; ask 8082; ask 8083
docker rm -f web >&2; docker network rm one >&2; podman rm -t 0 -f web >&2; podman network rm one >&2
ask 8083
"#;

mod slow {
    use super::*;

    #[test]
    fn nginx_an_application_and_a_database_find_each_other() {
        if !is_wanted() {
            return;
        }
        let host = Host::new();
        let outside = Place::new();
        let (here, there) = (["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"]);
        host.place().cable("lan", &here, &outside, &there);
        let packages = "nginx-light,postgresql,python3,python3-psycopg2,bind9-dnsutils";
        host.ok(&format!("import {} servers", debian_with(RELEASES[0], "servers", packages).display()));
        let app = host.brig.write("app.py", APPLICATION);
        let site = host.brig.write("site", SITE);
        let database = host.brig.write("db.sh", DATABASE);
        host.ok("network create --ipv6 shop");
        host.ok(&format!(
            "run -d --name db --network shop -v {database}:/db.sh:ro --stop-signal INT servers sh /db.sh"
        ));
        host.ok(&format!("run -d --name app --network shop -v {app}:/app.py:ro servers python3 /app.py"));
        host.ok(&format!(
        "run -d --name web --network shop -p 8080:80 -v {site}:/etc/nginx/sites-enabled/default:ro servers nginx -g 'daemon off;'"
    ));
        let page = |address: &str| {
            let address = format!("http://{address}:8080/");
            let get = || outside.within(|| std::process::Command::new("curl").args(["-sfgm", "10", &address]).output());
            wait_until(&format!("a page from {address}"), || {
                let output = get().expect("curl");
                output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
            })
        };
        assert_eq!(page("192.0.2.1"), "visit 1 of 1 by 192.0.2.2");
        assert_eq!(page("[2001:db8::1]"), "visit 2 of 2 by 2001:db8::2");
        let dig = |line: &str| host.ok(&format!("exec app dig +short {line}"));
        assert_eq!(dig("db"), host.address("db"));
        assert_eq!(dig("+tcp web.shop"), host.address("web"));
        assert!(dig("AAAA db").starts_with("fd"));
        assert_eq!(dig(&format!("-x {}", host.address("db"))), "db.shop.");
        assert_eq!(dig("no-such-name.shop"), "");
        // With another address, as it may be.
        host.ok("restart db");
        assert_eq!(page("192.0.2.1"), "visit 3 of 2 by 192.0.2.2");
        // Eight clients at once, each keeping its connection.
        let urls: Vec<&str> = ["http://192.0.2.1:8080/"; 25].to_vec();
        std::thread::scope(|scope| {
            let client = || outside.within(|| tool("curl", &[&["-sf"], &urls[..]].concat()));
            let clients: Vec<_> = (0..8).map(|_| scope.spawn(client)).collect();
            let pages: usize = clients.into_iter().map(|client| client.join().expect("pages").lines().count()).sum();
            assert_eq!(pages, 200);
        });
        assert_eq!(page("192.0.2.1"), "visit 204 of 2 by 192.0.2.2");
    }

    #[test]
    fn beside_docker_and_podman() {
        if !is_wanted() || is_docker() {
            return;
        }
        let Some(peers) = Peers::find() else { return };
        let _host = Host::new();
        std::fs::copy(program(), peers.dir.join("brig")).expect("a copy");
        assert_eq!(peers.bash(BESIDE), "docker\npodman\nbrig\ndocker\npodman\nbrig\nbrig\n");
    }
}
