//! What the policy says on top of modes: each open, each change of a name, each with its record.

use crate::support::desk::{Desk, VAULT};
use crate::support::users::OWNER;

#[test]
fn an_open_that_no_rule_permits_is_refused_and_recorded_whatever_the_mode_says() {
    let Some(desk) = Desk::set() else { return };
    let closed = desk.free("closed", "file");
    let read_only = desk.free("read", "file");
    let mut root = desk.person();
    for path in [&closed, &read_only] {
        root.must(&format!("write({path:?}, 'x')"));
        root.must(&format!("os.chmod({path:?}, 0o666)"));
    }
    let mut owner = desk.person_of(OWNER);
    assert_eq!(owner.reads(&closed), Err("EACCES".to_owned()));
    assert_eq!(owner.reads(&read_only), Ok("x".to_owned()));
    assert_eq!(owner.fails(&format!("write({read_only:?}, 'y', 0)")), "EACCES");
    for change in [
        "os.unlink({path})",
        "os.rename({path}, {path} + '2')",
        "os.link({path}, {path} + '2')",
        "os.symlink('x', {path} + '2')",
        "os.mkdir({path} + '2')",
        "os.truncate({path}, 0)",
        "write({path} + '2', '')",
    ] {
        let change = change.replace("{path}", &format!("{read_only:?}"));
        assert_eq!(owner.fails(&change), "EACCES", "{change}");
    }
    // A name that another made is seen, and what it says.
    assert_eq!(owner.must(&format!("os.stat({closed:?}).st_size")), 1);
    let refused = desk.stage().log_of("refused", "closed/file");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["kind"], "workspace");
    assert_eq!(refused[0]["reason"], "no rule allows it");
    assert_eq!(desk.stage().log_of("refused", "read/file").len(), 4);
    assert_eq!(desk.stage().log_of("refused", "read/file2").len(), 4);
}

#[test]
fn changes_of_attributes_ask_too() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("read", "mine");
    let mut root = desk.person();
    root.must(&format!("write({path:?}, 'x')"));
    let owner = crate::support::users::user(OWNER);
    root.must(&format!("os.chown({path:?}, {}, {})", owner.uid, owner.gid));
    let mut owner = desk.person_of(OWNER);
    for change in [
        "os.chmod({path}, 0o600)",
        "os.utime({path}, ns=(1, 1))",
        "os.setxattr({path}, 'user.a', b'')",
    ] {
        let change = change.replace("{path}", &format!("{path:?}"));
        assert_eq!(owner.fails(&change), "EACCES", "{change}");
        assert!(root.does(&change).is_ok(), "{change}");
    }
}

#[test]
fn each_open_and_each_change_of_a_name_has_one_record_and_reads_have_none() {
    let Some(desk) = Desk::set() else { return };
    let mut root = desk.person();
    root.must("write('file', 'x' * 100000)");
    root.must("[read('file') for _ in range(3)]");
    root.must("os.rename('file', 'other')");
    root.must("os.link('other', 'third')");
    root.must("os.mkdir('folder')");
    root.must("os.symlink('other', 'link')");
    root.must("os.unlink('third')");
    root.must("os.truncate('other', 5)");
    root.must("os.chmod('other', 0o600)");
    let log = desk.stage().log();
    let of_vault = log.iter().filter(|entry| entry["vault"] == VAULT);
    let files = of_vault.filter(|entry| entry["eventType"].as_str().unwrap().starts_with("file."));
    let told: Vec<String> = files
        .map(|entry| {
            assert_eq!(entry["kind"], "workspace");
            assert_eq!(entry["decision"], "permitted");
            assert_eq!(entry["actor"]["uid"], 0);
            let to = entry["to"].as_str().map(|to| format!(" {to}")).unwrap_or_default();
            format!("{} {}{to}", entry["eventType"], entry["path"]).replace('"', "")
        })
        .collect();
    let expected = [
        "file.create file",
        "file.open file",
        "file.open file",
        "file.open file",
        "file.rename file other",
        "file.create third",
        "file.create folder",
        "file.create link",
        "file.remove third",
        "file.write other",
    ];
    assert_eq!(told, expected);
    let created = &desk.stage().log_of("file.create", "file")[0];
    assert_eq!(created["rules"][0], "admin-works");
    assert!(created["lease"].is_string());
}

#[test]
fn a_file_with_two_names_takes_the_permission_of_both() {
    let Some(desk) = Desk::set() else { return };
    let (open, closed) = (desk.free("free", "open"), desk.free("closed", "closed"));
    let mut root = desk.person();
    root.must(&format!("write({open:?}, 'x')"));
    root.must(&format!("os.chmod({open:?}, 0o666)"));
    let mut owner = desk.person_of(OWNER);
    assert_eq!(owner.reads(&open), Ok("x".to_owned()));
    root.must(&format!("os.link({open:?}, {closed:?})"));
    assert_eq!(owner.reads(&open), Err("EACCES".to_owned()));
    assert_eq!(desk.stage().log_of("refused", "closed/closed").len(), 1);
    root.must(&format!("os.unlink({closed:?})"));
    assert_eq!(owner.reads(&open), Ok("x".to_owned()));
    // Nor does a new name make readable what is not.
    root.must(&format!("write({closed:?}, 'y')"));
    root.must(&format!("os.chmod({closed:?}, 0o666)"));
    root.must("os.chmod('closed', 0o777)");
    assert_eq!(owner.fails(&format!("os.rename({closed:?}, 'free/taken')")), "EACCES");
}

#[test]
fn an_open_waits_for_a_human_and_nobody_behind_it() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("ask", "file");
    let mut root = desk.person();
    root.must(&format!("write({path:?}, 'asked for')"));
    root.must(&format!("os.chmod({path:?}, 0o666)"));
    let mut owner = desk.person_of(OWNER);
    owner.begin(&format!("read({path:?})"));
    let request = desk.stage().held("ask/file");
    assert_eq!(root.must(&format!("read({path:?})")), "asked for");
    root.must(&format!("os.stat({path:?})"));
    root.must("write('ask/beside', 'x')");
    assert_eq!(desk.stage().approve(&request).status, Some(0));
    assert_eq!(owner.end().unwrap(), "asked for");
    // What would make a name waits for nobody.
    assert_eq!(owner.fails("write('ask/new', 'x')"), "EACCES");
}

#[test]
fn a_read_only_mount_takes_no_change() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("write('file', 'x')");
    person.must("os.chdir('/')");
    assert_eq!(desk.unmount().status, Some(0));
    desk.mount(&["--read-only"]);
    let mut person = desk.person();
    assert_eq!(person.must("read('file')"), "x");
    for change in
        ["write('file', 'y', 0)", "os.mkdir('d')", "os.unlink('file')", "os.chmod('file', 0)"]
    {
        assert_eq!(person.fails(change), "EROFS", "{change}");
    }
}

#[test]
fn programs_run_from_a_workspace_without_the_privilege_of_their_mode() {
    let Some(desk) = Desk::set() else { return };
    let path = desk.free("both", "id");
    let mut root = desk.person();
    root.must(&format!("run('/usr/bin/cp', '/usr/bin/id', {path:?})"));
    root.must(&format!("os.chmod({path:?}, 0o6755)"));
    let mut owner = desk.person_of(OWNER);
    let uid = crate::support::users::user(OWNER).uid.to_string();
    let said = owner.must(&format!("run({path:?}, '-u')"));
    assert_eq!(said[1].as_str().unwrap().trim(), uid, "{said}");
}

#[test]
fn a_rule_that_refuses_mapped_reads_permits_no_reading_since_pages_are_kept() {
    let rule = |folder: &str, more: &str| {
        format!(
            "[[rule]]\nname = \"{folder}\"\nclients = [\"owner\"]\nops = [\"file.*\"]\n\
             path = [\"{folder}/**\"]\ndecide = \"allow\"\n{more}\n"
        )
    };
    let rules = rule("unmapped", "mapped = false") + &rule("mapped", "");
    let Some(desk) = Desk::with(&rules) else { return };
    let mut root = desk.person();
    let mut owner = desk.person_of(OWNER);
    for folder in ["mapped", "unmapped"] {
        let program = desk.free(folder, "program");
        root.must(&format!("write({program:?}, '#!/bin/sh\\necho ran\\n')"));
        root.must(&format!("os.chmod({program:?}, 0o777)"));
    }
    let (mapped, unmapped) = (desk.path("mapped/program"), desk.path("unmapped/program"));
    assert_eq!(owner.must(&format!("run({mapped:?})"))[1], "ran\n");
    assert_eq!(owner.fails(&format!("run({unmapped:?})")), "EACCES");
    assert_eq!(owner.reads(&unmapped), Err("EACCES".to_owned()));
    assert_eq!(owner.fails(&format!("os.open({unmapped:?}, os.O_RDWR)")), "EACCES");
    let refused = desk.stage().log_of("refused", "unmapped/program");
    assert!(refused.iter().all(|it| it["reason"].as_str().unwrap().contains("mapped = false")));
    // Writing alone needs nobody's pages; a new file that is to be read too is refused as well.
    owner.must(&format!("write({unmapped:?}, 'new', os.O_TRUNC)"));
    let new = desk.path("unmapped/new");
    assert_eq!(owner.fails(&format!("os.open({new:?}, os.O_RDWR | os.O_CREAT)")), "EACCES");
    owner.must(&format!("write({new:?}, 'x')"));
    // Of two names of a file the harder one counts.
    root.must(&format!("os.link({mapped:?}, {:?})", desk.path("unmapped/second")));
    assert_eq!(owner.reads(&mapped), Err("EACCES".to_owned()));
}
