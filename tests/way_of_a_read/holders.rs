//! Whose an open file is: another process than its holder needs a right of its own, or a rule that
//! says `share`.

use crate::support::person::Person;
use crate::support::stage::{HOLD, Stage};
use crate::support::users::{OWNER, user};
use serde_json::{Value, json};

/// Only the shell may open these; what it may do with what it opened is in their names.
fn rules() -> String {
    let rule = |name: &str, more: &str| {
        format!(
            "[[rule]]\nname = \"shell-{name}\"\nclients = [\"shell\"]\n\
             ops = [\"file.list\", \"file.read\", \"file.write\"]\npath = [\"{name}/**\"]\n{more}\n"
        )
    };
    let asked = "decide = \"approve\"\nshare = \"exec\"\n\
                 approve = { require = \"one_time\", by = [\"admin\"] }";
    let rules = [
        rule("alone", "decide = \"allow\""),
        rule("exec", "decide = \"allow\"\nshare = \"exec\""),
        rule("children", "decide = \"allow\"\nshare = \"children\""),
        rule("asked", asked),
    ];
    let owner = user(OWNER).uid;
    rules.concat()
        + "[[rule]]\nname = \"never-od\"\nclients = [\"od\"]\nops = [\"*\"]\npath = [\"*\"]\n\
           priority = -1\ndecide = \"deny\"\n[clients.od]\nexe = [\"/usr/bin/od\"]\n"
        + &format!("[clients.shell]\nuid = [{owner}]\nexe = [\"/usr/bin/dash\"]\n")
}

/// A stage with a secret in each folder, and the person who runs shells.
fn set() -> Option<(Stage, Person)> {
    let stage = Stage::with(HOLD, &rules())?;
    for name in ["alone", "exec", "children", "asked"] {
        stage.secret(&format!("{name}/token"), "s3cret");
    }
    Some((stage, Person::of(OWNER)))
}

/// What a shell with `words` (`$0` is the secret in `folder`) comes to: output and errors.
fn shell(stage: &Stage, person: &mut Person, folder: &str, words: &str) -> (String, String) {
    let path = stage.path(&format!("{folder}/token"));
    let ended = person.must(&format!("run('sh', '-c', {words:?}, {path:?})"));
    (ended[1].as_str().unwrap().to_owned(), ended[2].as_str().unwrap().to_owned())
}

fn last_read(stage: &Stage, folder: &str) -> Value {
    stage.log_of("file.read", &format!("{folder}/token")).pop().unwrap()
}

#[test]
fn a_program_that_takes_the_place_of_the_opener_reads_on_only_where_a_rule_says_so() {
    let Some((stage, mut person)) = set() else { return };
    let becomes = "exec cat < $0";
    let (read, errors) = shell(&stage, &mut person, "alone", becomes);
    assert!(read.is_empty() && errors.contains("Permission denied"), "{read} {errors}");
    assert_eq!(stage.log_of("file.read", "alone/token").len(), 0);
    let refusal = stage.log_of("refused", "alone/token").pop().unwrap();
    assert_eq!(refusal["actor"]["exe"], "/usr/bin/cat");
    for folder in ["exec", "children"] {
        assert_eq!(shell(&stage, &mut person, folder, becomes).0, "s3cret");
        let open = stage.log_of("file.open", &format!("{folder}/token")).pop().unwrap();
        let read = last_read(&stage, folder);
        assert_eq!(open["actor"]["exe"], "/usr/bin/dash");
        assert_eq!(read["actor"]["exe"], "/usr/bin/cat");
        assert_eq!(read["actor"]["pid"], open["actor"]["pid"]);
        let opener =
            json!({"pid": open["actor"]["pid"], "startTicks": open["actor"]["startTicks"]});
        assert_eq!((&read["shared"], &read["opener"]), (&json!("exec"), &opener));
        assert_eq!(read["lease"], open["lease"]);
    }
    assert_eq!(stage.pending().len(), 0);
}

#[test]
fn children_and_their_children_read_on_only_where_a_rule_says_children() {
    let Some((stage, mut person)) = set() else { return };
    let child = "exec 3< $0; cat <&3; :";
    let grandchild = "exec 3< $0; sh -c 'cat <&3; :'; :";
    for words in [child, grandchild] {
        for folder in ["alone", "exec"] {
            let (read, errors) = shell(&stage, &mut person, folder, words);
            assert!(read.is_empty() && errors.contains("Permission denied"), "{read} {errors}");
        }
        assert_eq!(shell(&stage, &mut person, "children", words).0, "s3cret", "{words}");
        let open = stage.log_of("file.open", "children/token").pop().unwrap();
        let read = last_read(&stage, "children");
        assert_eq!(read["shared"], "children");
        assert_eq!(read["opener"]["pid"], open["actor"]["pid"]);
        assert_ne!(read["actor"]["pid"], open["actor"]["pid"]);
    }
}

#[test]
fn a_child_whose_line_to_the_opener_has_ended_is_no_descendant_any_more() {
    let Some((stage, mut person)) = set() else { return };
    // The opener waits for the end of all output, so it is there all the time.
    let orphan = "import os, sys\n\
        (asked, go), parent = os.pipe(), os.getpid()\n\
        if os.fork(): os.read(asked, 1); os._exit(0)\n\
        print(os.pread(3, 9, 0).decode())\n\
        os.write(go, b'x')\n\
        while os.getppid() == parent: pass\n\
        try: print(os.pread(3, 9, 0))\n\
        except OSError as error: print(error.errno)";
    let words = format!("exec 3< $0; python3 -c \"{orphan}\" | cat");
    assert_eq!(shell(&stage, &mut person, "children", &words).0, "s3cret\n13\n");
    // And one that outlives the opener itself.
    person.must("(asked, go), (said, says) = os.pipe(), os.pipe()");
    let orphan = format!(
        "import os\nparent = os.getppid()\nprint(os.pread(3, 9, 0).decode())\n\
         os.write({}, b'x\\n')\nwhile os.getppid() == parent: pass\n\
         try: print(os.pread(3, 9, 0))\nexcept OSError as error: print(error.errno)",
        person.must("go")
    );
    let (path, words) = (stage.path("children/token"), "exec 3< $0; python3 -c \"$1\" & read x");
    person.must(&format!(
        "shell = subprocess.Popen(['sh', '-c', {words:?}, {path:?}, {orphan:?}], stdin=asked, \
         stdout=says, pass_fds=[go])"
    ));
    person.must("os.close(says)");
    assert_eq!(person.must("shell.wait()"), 0);
    assert_eq!(person.must("b''.join(iter(lambda: os.read(said, 99), b''))"), "s3cret\n13\n");
}

#[test]
fn an_open_file_that_a_child_passes_on_to_a_stranger_yields_nothing() {
    let Some((stage, mut person)) = set() else { return };
    let path = stage.path("children/token");
    let name = format!("\\0wardfs-test-{}", person.pid());
    person.must(&format!(
        "server = socket.socket(socket.AF_UNIX); server.bind('{name}'); server.listen()"
    ));
    let passes = format!(
        "import os, socket\nassert os.pread(3, 9, 0) == b's3cret'\n\
         link = socket.socket(socket.AF_UNIX); link.connect('{name}')\n\
         socket.send_fds(link, [b'x'], [3]); link.recv(1)"
    );
    let words = "exec 3< $0; python3 -c \"$1\"";
    person
        .must(&format!("shell = subprocess.Popen(['sh', '-c', {words:?}, {path:?}, {passes:?}])"));
    person.must("link = server.accept()[0]");
    person.must("file = socket.recv_fds(link, 1, 1)[1][0]");
    // The same user, the parent of the opener, and no descendant.
    assert_eq!(person.fails("os.pread(file, 9, 0)"), "EACCES");
    person.must("link.send(b'x')");
    assert_eq!(person.must("shell.wait()"), 0);
    let refusal = stage.log_of("refused", "children/token").pop().unwrap();
    assert_eq!(refusal["actor"]["pid"], person.pid());
}

#[test]
fn what_is_shared_is_not_shared_with_whom_a_rule_denies() {
    let Some((stage, mut person)) = set() else { return };
    let (_, errors) = shell(&stage, &mut person, "children", "exec 3< $0; od -c <&3; :");
    assert!(errors.contains("Permission denied"), "{errors}");
    let refusal = stage.log_of("refused", "children/token").pop().unwrap();
    assert!(refusal["reason"].as_str().unwrap().contains("never-od"), "{refusal}");
}

#[test]
fn an_open_that_a_human_permitted_is_shared_as_its_rule_says() {
    let Some((stage, mut person)) = set() else { return };
    let path = stage.path("asked/token");
    person.begin(&format!("run('sh', '-c', 'exec cat < $0', {path:?})"));
    let request = stage.held("asked/token");
    assert_eq!(stage.approve(&request).status, Some(0));
    assert_eq!(person.end().unwrap()[1], "s3cret");
    assert_eq!(last_read(&stage, "asked")["shared"], "exec");
    assert_eq!(stage.pending().len(), 0);
}

#[test]
fn a_shared_open_file_is_written_by_the_same_rule() {
    let Some((stage, mut person)) = set() else { return };
    let writes = "exec 3>> $0; python3 -c 'import os; os.write(3, b\"+more\")'; :";
    let (_, errors) = shell(&stage, &mut person, "exec", writes);
    assert!(errors.contains("Permission denied"), "{errors}");
    assert_eq!(shell(&stage, &mut person, "children", writes).1, "");
    assert_eq!(shell(&stage, &mut person, "children", "exec cat < $0").0, "s3cret+more");
    assert_eq!(shell(&stage, &mut person, "exec", "exec cat < $0").0, "s3cret");
}

#[test]
fn a_reader_by_a_right_of_its_own_is_in_the_log_with_its_rule_and_the_opener() {
    let Some((stage, mut person)) = set() else { return };
    let path = stage.secret("both/token", "s3cret");
    person.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    assert_eq!(person.must("child('os.pread(file, 9, 0)')"), 0);
    let read = stage.log_of("file.read", "both/token").pop().unwrap();
    assert_ne!(read["actor"]["pid"], person.pid());
    assert_eq!(read["opener"]["pid"], person.pid());
    assert_eq!(read["rules"], json!(["both-read"]));
    assert_eq!(read["shared"], Value::Null);
    person.must("os.pread(file, 9, 0)");
    let read = stage.log_of("file.read", "both/token").pop().unwrap();
    assert_eq!((&read["opener"], &read["rules"]), (&Value::Null, &Value::Null));
}
