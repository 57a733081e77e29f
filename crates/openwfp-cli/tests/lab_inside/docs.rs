//! The commands of the documentation, literally, on a machine with two tunnels of another program.

use super::*;
#[path = "../markdown/mod.rs"]
mod markdown;

/// What surrounds a page's commands: `sudo` keeps Debian's `secure_path`, a daemon and a watcher run in the background,
/// since the next command is for them, and `systemctl` starts what a unit's `ExecStart` names.
const MACHINE: &str = r#"
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
sudo() { "$@"; }
wait_for() {
  for _ in $(seq 100); do grep -q "$1" "$2" && return; sleep 0.1; done
  echo "in vain: $1" >&2; cat "$2" >&2; exit 1
}
background() {
  local log=$1 line=$2; shift 2
  : >"$log"
  command "$@" >>"$log" 2>&1 &
  wait_for "$line" "$log"
}
stop_all() { for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done; wait; }
trap 'code=$?; if ((code)); then cat /run/serve.log; fi; stop_all; exit $code' EXIT
wfp() {
  case " $* " in
    *" --check-config "*) command wfp "$@" ;;
    *" serve "*) stop_all; background /run/serve.log ' ready' wfp "$@" ;;
    *" watch "*) background /run/watch.log watching wfp "$@" ;;
    *) command wfp "$@" ;;
  esac
}
systemctl() {
  case "$1 $2" in
    "enable --now"|"restart wfp.service")
      local start
      start=$(sed -n 's/^ExecStart=//p' /etc/systemd/system/wfp.service)
      stop_all; background /run/serve.log ' ready' $start ;;
    "reload wfp.service") kill -HUP "$(jobs -p | tail -n 1)"; wait_for 'configuration reloaded' /run/serve.log ;;
    *) echo "systemctl $*?" >&2; exit 1 ;;
  esac
}
"#;

/// Two tunnels that another program installed, with SPIs that the pages name.
const TUNNELS: &str = "
ip xfrm state flush; ip xfrm policy flush
key=0x$(printf '0a%.0s' {1..20})
for n in '0 0xc71b7200 0xca7b5bc9' '1 0xce435ff9 0xc71a73bc'; do set -- $n
  ip xfrm state add src 10.99.0.2 dst 10.99.0.1 proto esp spi $2 reqid $1 mode tunnel aead 'rfc4106(gcm(aes))' $key 128
  ip xfrm state add src 10.99.0.1 dst 10.99.0.2 proto esp spi $3 reqid $1 mode tunnel aead 'rfc4106(gcm(aes))' $key 128
  ip xfrm policy add src 172.17.$1.0/24 dst 172.18.$1.0/24 dir out tmpl src 10.99.0.1 dst 10.99.0.2 proto esp reqid $1 mode tunnel
  ip xfrm policy add src 172.18.$1.0/24 dst 172.17.$1.0/24 dir in tmpl src 10.99.0.2 dst 10.99.0.1 proto esp reqid $1 mode tunnel
done";

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn the_commands_of_every_page_work() {
    sh("modprobe overlay
        for tree in etc usr; do
          mkdir -p /run/overlay/$tree /run/overlay/work-$tree
          mount -t overlay overlay -o lowerdir=/$tree,upperdir=/run/overlay/$tree,workdir=/run/overlay/work-$tree /$tree
        done
        mount --bind /usr/lib/uml/modules /lib/modules
        echo '127.0.0.1 gateway' >>/etc/hosts
        mkdir -p /var/lib/openwfp || mount -t tmpfs tmpfs /var/lib
        ip address add 10.99.0.1/24 dev lo
        ip netns add blue");
    let root = markdown::root();
    let root = root.display();
    let mut ran = 0;
    for page in markdown::LAB_PAGES {
        sh(TUNNELS);
        sh(&format!(
            "rm -rf /run/checkout /etc/openwfp; mkdir -p /run/checkout/target/release; cd /run/checkout
             ln -s {root}/samples {root}/packaging .
             ln -s {wfp} target/release/wfp",
            wfp = wfp(),
        ));
        let script = markdown::script(page, "lab");
        // The README starts the daemon of docs/daemon.md, with the certificates that are made there.
        let script = match page {
            "README.md" => {
                let blocks = markdown::blocks("docs/daemon.md");
                let certificates = blocks.iter().find(|block| block.text.contains("openssl req -x509"));
                let config = blocks.iter().find(|block| block.language == "toml");
                let (certificates, config) = (&certificates.unwrap().text, &config.unwrap().text);
                format!("{certificates}\ncat >gateway.toml <<'END'\n{config}END\n{script}")
            }
            _ => script,
        };
        ran += script.matches("\necho '== ").count() + usize::from(script.starts_with("echo '== "));
        // All pages but the README take `wfp` as installed.
        let install = "install -m 755 target/release/wfp /usr/local/bin/wfp";
        let output = sh(&format!(
            "exec 2>&1; set -x; cd /run/checkout; {} {MACHINE}\n{script}",
            if page == "README.md" { "" } else { install }
        ));
        assert!(output.contains("=="), "{page}: {output}");
        match page {
            "README.md" => {
                assert!(output.contains("2 SA contexts") && output.contains("172.18.1.0/24"), "{output}");
            }
            "docs/daemon.md" => assert!(output.matches("2 SA contexts").count() >= 2, "{output}"),
            "docs/linux.md" => {
                let left = sh("ip xfrm state | grep -c ^src || true");
                assert!(output.contains("deleted: "), "{output}");
                assert_eq!(left.trim(), "2", "one tunnel was deleted, the other is left: {output}");
            }
            _ => {}
        }
    }
    assert!(ran > 15, "{ran} blocks ran");
    // The README's Rust, as a program.
    sh(TUNNELS);
    assert_eq!(sh(&std::env::var("LIST").unwrap()), "1: 10.99.0.2\n2: 10.99.0.2\n");
}
