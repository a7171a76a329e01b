//! The log in the forms of other systems: read in again, and checked by their rules.

use crate::support::root::Root;
use crate::support::stage::Stage;
use crate::support::users::{self, STRANGER, user};
use crate::support::wait;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs the checker of `form`; gives how many entries it found good.
fn check(form: &str, file: &Path, rows: &str) -> Result<u64, String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let tools = here.join("target/tools/bin/python3");
    let tools = if tools.exists() { tools } else { PathBuf::from("python3") };
    let python = std::env::var_os("WARD_PYTHON").map_or(tools, PathBuf::from);
    let mut checker = Command::new(python);
    checker.args(["-B"]).arg(here.join("tests/reader/exports.py")).arg(form).arg(file);
    let piped = checker.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = piped.spawn().unwrap();
    running.stdin.take().unwrap().write_all(rows.as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(said);
    }
    Ok(String::from_utf8(output.stdout).unwrap().trim().parse().unwrap())
}

/// A root whose log has something of most kinds, and texts that are hard to quote.
fn root() -> Root {
    let root = Root::private();
    for (path, value) in [("db/password", "x"), ("caf\u{e9}/it's \"1\"\\", "y")] {
        root.ward(&["set", path, "--value", value]).succeed();
        root.ward(&["get", path, "--raw"]).succeed();
    }
    root.ward(&["daemon", "stop"]).succeed();
    root
}

fn export(root: &Root, form: &str, more: &[&str]) -> (PathBuf, u64) {
    let file = root.directory().join(form);
    let words = ["--json", "audit", "export", "--form", form, "--output", file.to_str().unwrap()];
    let done = root.run(&[&words[..], more].concat());
    assert_eq!(done.status, Some(0), "{done:?}");
    (file, done.json()["result"]["entries"].as_u64().unwrap())
}

#[test]
fn a_table_for_spreadsheets_has_a_row_for_each_entry_and_no_formula() {
    let root = root();
    let formula = "=HYPERLINK(\"x\"), \"now\"";
    root.ward(&["set", formula, "--value", "x"]).succeed();
    root.ward(&["daemon", "stop"]).succeed();
    let (file, count) = export(&root, "csv", &["--names"]);
    let script = "import csv,sys\nrows=list(csv.DictReader(open(sys.argv[1],newline='')))\n\
                  print(len(rows)); print([r['path'] for r in rows if 'HYPER' in r['path']][0])\n\
                  print(sum(r['path']=='db/password' and r['event']=='secret.set' for r in rows))";
    let output = Command::new("python3").args(["-c", script]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, format!("{count}\n'{formula}\n1\n"), "{:?}", output.stderr);
}

#[test]
fn lines_for_agent_safe_follow_its_chain_and_a_changed_one_does_not() {
    let root = root();
    let (file, count) = export(&root, "agent-safe", &[]);
    assert_eq!(check("agent-safe", &file, ""), Ok(count));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("password") && text.contains("(sealed)"), "{text}");
    let changed = root.directory().join("changed");
    std::fs::File::create(&changed)
        .unwrap()
        .write_all(text.replacen("secret.set", "secret.sat", 1).as_bytes())
        .unwrap();
    check("agent-safe", &changed, "").unwrap_err();
    // The names of vaults that are unlocked are there when they are asked for.
    std::fs::remove_file(&file).unwrap();
    let (file, _) = export(&root, "agent-safe", &["--names"]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(r#""target": "default:caf\u00e9/it's \"1\"\\""#), "{text}");
    assert!(check("agent-safe", &file, "").unwrap() > count);
}

#[test]
fn rows_for_illuvrse_are_imported_by_postgresql_and_verify_there() {
    let Some(server) = Server::start() else { return };
    let root = root();
    let signers = root.directory().join("signers.json");
    let (file, count) = export(&root, "illuvrse", &["--signers", signers.to_str().unwrap()]);
    server.sql(&std::fs::read_to_string(&file).unwrap());
    let rows = server.sql(
        "SELECT json_agg(row_to_json(it)) FROM (SELECT * FROM audit_events ORDER BY created_at) it",
    );
    assert_eq!(check("illuvrse", &signers, &rows), Ok(count));
    let report = ward_audit::verify(&root.path().join("audit"), None).unwrap();
    let head = report.good.head.unwrap().hash.to_string();
    assert!(rows.contains(&head), "the head of their chain is that of ours");
    server
        .sql("UPDATE audit_events SET payload = payload || '{\"uid\":7}' WHERE prev_hash IS NULL");
    let rows = server.sql(
        "SELECT json_agg(row_to_json(it)) FROM (SELECT * FROM audit_events ORDER BY created_at) it",
    );
    check("illuvrse", &signers, &rows).unwrap_err();
}

#[test]
fn a_log_of_which_a_line_is_gone_is_exported_in_no_form() {
    let root = root();
    let segment = root.newest_segment();
    let whole = std::fs::read_to_string(&segment).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let rest = [&lines[..3], &lines[4..]].concat().concat();
    std::fs::File::create(&segment).unwrap().write_all(rest.as_bytes()).unwrap();
    for form in ["agent-safe", "csv", "illuvrse"] {
        let file = root.directory().join(form);
        let words = ["audit", "export", "--form", form, "--output", file.to_str().unwrap()];
        let refused = root.run(&words);
        assert_eq!(refused.status, Some(10), "{refused:?}");
        assert!(refused.stderr.contains("lines are missing here"), "{refused:?}");
        assert!(!file.exists());
    }
}

#[test]
fn an_export_replaces_no_file_and_needs_the_owner() {
    let Some(stage) = Stage::served("1s", "") else { return };
    let folder = users::folder(STRANGER);
    let file = folder.path().join("rows");
    let words = ["audit", "export", "--form", "illuvrse", "--output", file.to_str().unwrap()];
    let denied = stage.root().ward(&words).by(STRANGER).run();
    assert_ne!(denied.status, Some(0), "{denied:?}");
    assert!(!file.exists(), "what was refused leaves no file in the way of the next try");
    std::fs::File::create(&file).unwrap();
    let again = stage.root().run(&words);
    assert_eq!(again.status, Some(7), "{again:?}");
    assert!(again.stderr.contains("that is not there yet"), "{again:?}");
}

/// A `PostgreSQL` server of a user of the tests, in a folder of its own.
struct Server {
    folder: tempfile::TempDir,
    process: Child,
}

impl Server {
    /// The server; `None`, with a word why, where there can be none.
    fn start() -> Option<Self> {
        if !users::can_act_as_others() {
            return None;
        }
        let Some(programs) = programs() else {
            eprintln!("skipped: there is no PostgreSQL: apt-get install postgresql");
            return None;
        };
        let folder = users::folder(STRANGER);
        let data = folder.path().join("data");
        let made = as_user(&programs.join("initdb"))
            .args(["--no-sync", "--encoding=UTF8", "--auth=trust", "--username=test", "--pgdata"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let process = as_user(&programs.join("postgres"))
            .args(["-F", "-h", "", "-k"])
            .arg(folder.path())
            .arg("-D")
            .arg(&data)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { folder, process };
        assert!(wait::until(|| server.ask("SELECT 1").is_ok()), "PostgreSQL does not start");
        Some(server)
    }

    /// What a statement gives.
    fn sql(&self, text: &str) -> String {
        self.ask(text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn ask(&self, text: &str) -> Result<String, String> {
        let mut client = as_user(&programs().unwrap().join("psql"));
        client.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "test", "-d", "postgres", "-h"]);
        client.arg(self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = client.stderr(Stdio::piped()).spawn().unwrap();
        running.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(said)
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its children end with it.
        let _ended = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).unwrap()),
            nix::sys::signal::Signal::SIGQUIT,
        );
        let _status = self.process.wait();
    }
}

/// Where Debian has the programs of `PostgreSQL`.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions.map(|version| version.unwrap().path().join("bin")).max()
}

fn as_user(program: &Path) -> Command {
    let user = user(STRANGER);
    let mut command = Command::new(program);
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).env_clear().current_dir("/");
    command.env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").stdout(Stdio::null());
    command
}
