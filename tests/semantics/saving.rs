//! Programs that save: a new file beside the old one, renamed over it.

use crate::support::person::Person;
use crate::support::stage::Stage;
use crate::support::users::OWNER;

#[test]
fn an_editor_saves_by_renaming_a_new_file_over_the_old_one() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/settings", "old\n");
    let (new, backup) = (stage.path("free/.settings.new"), stage.path("free/settings~"));
    let mut editor = Person::of(OWNER);
    let mut reader = Person::of(OWNER);
    reader.must(&format!("file = os.open({path:?}, os.O_RDONLY)"));
    editor.must(&format!("file = os.open({new:?}, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)"));
    editor.must("os.write(file, b'new\\n'), os.fsync(file), os.fchmod(file, 0o600)");
    editor.must(&format!("os.close(file), os.utime({new:?}), os.rename({new:?}, {path:?})"));
    assert_eq!(editor.reads(&path), Ok("new\n".to_owned()));
    assert_eq!(editor.fails(&format!("os.stat({new:?})")), "ENOENT");
    // What was replaced is gone for those who had it open: its lease ended.
    assert_eq!(reader.fails("os.pread(file, 9, 0)"), "ESTALE");
    // The other way round: the old file becomes the backup.
    editor.must(&format!("os.rename({path:?}, {backup:?}), write({path:?}, 'newer\\n')"));
    assert_eq!(editor.reads(&path), Ok("newer\n".to_owned()));
    assert_eq!(editor.reads(&backup), Ok("new\n".to_owned()));
}

#[test]
fn sed_edits_in_place() {
    let Some(stage) = Stage::set() else { return };
    let path = stage.secret("free/settings", "key = old\n");
    let mut person = Person::of(OWNER);
    let ended = person.must(&format!("run('sed', '-i', 's/old/new/', {path:?})"));
    assert_eq!(ended, serde_json::json!([0, "", ""]));
    assert_eq!(person.reads(&path), Ok("key = new\n".to_owned()));
    assert_eq!(person.must(&format!("os.listdir({:?})", stage.path("free")))[0], "settings");
}

#[test]
fn a_copy_and_a_move_from_elsewhere_arrive_whole() {
    let Some(stage) = Stage::set() else { return };
    stage.secret("free/first", "x");
    let copy = stage.path("free/copy");
    let mut person = Person::of(OWNER);
    let folder = person.must("run('mktemp', '-d')[1].strip()");
    let source = format!("{}/source", folder.as_str().unwrap());
    let value = "0123456789".repeat(30_000);
    person.must(&format!("write({source:?}, '0123456789' * 30000)"));
    assert_eq!(person.must(&format!("run('cp', {source:?}, {copy:?})"))[0], 0);
    assert_eq!(person.reads(&copy), Ok(value.clone()));
    assert_eq!(person.must(&format!("run('mv', {source:?}, {copy:?})[0]")), 0);
    assert_eq!(person.reads(&copy), Ok(value));
    person.must(&format!("os.rmdir({folder})"));
}
