//! Listings: stable while entries come and go.

use crate::support::desk::Desk;
use std::collections::BTreeSet;
use std::fs::File;

#[test]
fn a_listing_shows_what_stays_exactly_once_while_others_come_and_go() {
    let Some(desk) = Desk::set() else { return };
    let folder = std::path::PathBuf::from(desk.free("free", ""));
    let names: BTreeSet<String> = (0..3000).map(|number| format!("stays-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        File::create(folder.join(name)).unwrap();
        File::create(folder.join(format!("goes-{number}"))).unwrap();
    }
    let mut seen = Vec::new();
    for (number, entry) in std::fs::read_dir(&folder).unwrap().enumerate() {
        seen.push(entry.unwrap().file_name().into_string().unwrap());
        if number < 3000 {
            std::fs::remove_file(folder.join(format!("goes-{number}"))).unwrap();
            File::create(folder.join(format!("comes-{number}"))).unwrap();
        }
    }
    let stayed: Vec<_> = seen.iter().filter(|name| name.starts_with("stays-")).collect();
    assert_eq!(stayed.len(), names.len());
    assert_eq!(stayed.into_iter().cloned().collect::<BTreeSet<_>>(), names);
    let all: BTreeSet<_> = seen.iter().collect();
    assert_eq!(all.len(), seen.len(), "a name came twice");
}

#[test]
fn a_listing_can_be_left_and_gone_on_with() {
    let Some(desk) = Desk::set() else { return };
    let mut person = desk.person();
    person.must("[os.mkdir(f'd{n}') for n in range(200)]");
    let counted = person.must("len(os.listdir())");
    assert_eq!(counted, 200);
    person.must("import os as again");
    person.must("seen = [entry.name for entry in os.scandir() if entry.is_dir()]");
    assert_eq!(person.must("len(set(seen))"), 200);
    // Removed as they are listed, as `rm -r` does.
    person.must("[os.rmdir(entry.name) for entry in os.scandir()]");
    assert_eq!(person.must("os.listdir()").to_string(), "[]");
}

#[test]
fn a_name_that_was_not_there_is_found_once_it_is() {
    let Some(desk) = Desk::set() else { return };
    let (mut one, mut other) = (desk.person(), desk.person());
    assert_eq!(one.fails("os.stat('later')"), "ENOENT");
    assert_eq!(one.must("os.listdir()").to_string(), "[]");
    other.must("write('later', 'now')");
    assert_eq!(one.must("read('later')"), "now");
    assert_eq!(one.must("os.listdir()").to_string(), r#"["later"]"#);
    other.must("os.rename('later', 'elsewhere')");
    assert_eq!(one.fails("os.stat('later')"), "ENOENT");
    assert_eq!(one.must("os.listdir()").to_string(), r#"["elsewhere"]"#);
}
