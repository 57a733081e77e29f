//! The groups of a local client are those of its process, whatever the user database says.

use super::sh;
use super::succeeds;
use super::until;
use super::wfp;

#[test]
#[ignore = "in the kernel lab: lab.rs starts it"]
fn a_client_has_the_groups_of_its_process() {
    let wfp = wfp();
    sh(&format!(
        "mkdir -p /run/groups; {wfp} serve --engine memory: --set state.directory= --unix /run/groups/sock --set listen.mode=0666 \\
          --set access.readers=group:54321,group:27 >/run/groups/log 2>&1 & echo $! >/run/groups/pid"
    ));
    until("the daemon listens", || succeeds("test -S /run/groups/sock"));
    let lists =
        |setpriv: &str| succeeds(&format!("setpriv {setpriv} {wfp} --engine unix:/run/groups/sock sa list"));
    // A group that no database knows, which only the kernel knows that the process has.
    assert!(lists("--reuid 12345 --regid 12345 --groups 54321"));
    assert!(lists("--reuid 12345 --regid 54321 --clear-groups"), "the primary group");
    assert!(!lists("--reuid 12345 --regid 12345 --groups 54322"));
    // A process that has dropped its groups has dropped its rights, although the database names its user in the group.
    sh("grep -q '^openwfp-test:' /etc/passwd || (
          mkdir -p /run/etc && cp /etc/passwd /etc/group /run/etc
          echo 'openwfp-test:x:12346:12346::/:/bin/sh' >>/run/etc/passwd
          sed -i 's/^\\(sudo:x:27:.*\\)$/\\1openwfp-test/' /run/etc/group
          mount --bind /run/etc/passwd /etc/passwd; mount --bind /run/etc/group /etc/group)");
    assert!(
        sh("id -G openwfp-test").split_whitespace().any(|group| group == "27"),
        "{}",
        sh("id openwfp-test")
    );
    assert!(!lists("--reuid 12346 --regid 12346 --clear-groups"));
    assert!(lists("--reuid 12346 --regid 12346 --init-groups"));
    sh("kill $(cat /run/groups/pid)");
}
