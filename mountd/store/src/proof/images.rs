//! An image is a cache: with it, without it, or with an older one, a vault opens the same.

use super::support::{Fixture, at, content_of, get, name, put, writing};
use crate::{Existing, Fault, ImageUse, Vault, fsck};
use std::path::PathBuf;

fn image(fixture: &Fixture, number: u64) -> PathBuf {
    crate::segment::path_of(&fixture.directory().join("images"), number)
}

/// A vault with something of everything, closed twice: two images.
fn with_two_images() -> Fixture {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    let root = vault.root();
    let folder = vault.make_directory(root, &name("db"), at(1)).unwrap();
    vault.create_file(folder, &name("empty"), at(1)).unwrap();
    (0..12).for_each(|number| {
        put(&vault, "often", &[number; 900]);
    });
    let made = put(&vault, "made", b"by nobody known");
    vault.write_version(made, b"by a maker", writing(at(6), 4)).unwrap();
    let gone = put(&vault, "gone", b"shredded");
    vault.shred(gone, at(3)).unwrap();
    put(&vault, "removed", b"kept under its path");
    vault.unlink(root, &name("removed"), at(4)).unwrap();
    vault.close().unwrap();
    let vault = fixture.vault();
    put(&vault, "second", &[2; 70_000]);
    vault.rename((root, &name("second")), (folder, &name("s")), Existing::Keep, at(5)).unwrap();
    vault.close().unwrap();
    fixture
}

/// All that can be seen of a vault.
fn seen(vault: &Vault) -> String {
    let index = vault.read_index();
    let tree = index.secrets().unwrap();
    let mut text = format!("{:?} {:?} {:?}", tree.nodes, tree.removed, tree.shredded);
    text.push_str(&format!("{:?} {:?}", tree.contents, tree.shredding));
    drop(index);
    for gone in vault.removed() {
        for version in gone.versions {
            text.push_str(&format!("{:?}", content_of(vault, gone.file, version)));
        }
    }
    text
}

#[test]
fn a_vault_opens_the_same_with_each_image_and_with_none() {
    let fixture = with_two_images();
    let vault = fixture.vault();
    let (all, head) = (seen(&vault), vault.head());
    assert_eq!(vault.image_use(), ImageUse::Newest);
    drop(vault);
    for (remove, used) in [(2, ImageUse::Newest), (1, ImageUse::None)] {
        std::fs::remove_file(image(&fixture, remove)).unwrap();
        let vault = fixture.vault();
        assert_eq!((vault.image_use(), vault.head()), (used, head));
        assert!(seen(&vault) == all, "{used:?}");
    }
}

#[test]
fn an_image_changed_anywhere_is_not_used_and_found_by_the_check() {
    let fixture = with_two_images();
    let all = seen(&fixture.vault());
    let path = image(&fixture, 2);
    let bytes = std::fs::read(&path).unwrap();
    let mut changed: Vec<Vec<u8>> = (0..bytes.len())
        .step_by(61)
        .chain((0..64).step_by(3))
        .map(|place| {
            let mut bytes = bytes.clone();
            bytes[place] ^= 4;
            bytes
        })
        .collect();
    changed.extend([bytes[..bytes.len() - 1].to_vec(), Vec::new(), bytes[..40].to_vec()]);
    changed.push(std::fs::read(image(&fixture, 1)).unwrap());
    for bytes in changed {
        crate::durable::replace(&crate::durable::RealDisk, &path, &bytes).unwrap();
        let vault = fixture.vault();
        assert_eq!(vault.image_use(), ImageUse::Older);
        assert!(seen(&vault) == all);
        drop(vault);
        let findings = fsck(&fixture.directory(), &fixture.secret()).unwrap().findings;
        assert_eq!(findings.iter().map(|found| found.fault).collect::<Vec<_>>(), [Fault::Image]);
    }
}

#[test]
fn an_image_that_the_log_does_not_reach_is_not_used() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    put(&vault, "a", b"1");
    vault.sync().unwrap();
    let older = fixture.copy();
    put(&vault, "b", b"2");
    vault.close().unwrap();
    std::fs::copy(image(&fixture, 1), image(&older, 1)).unwrap();
    let (vault, recovered) = older.unlock();
    assert_eq!((vault.image_use(), recovered.damage.len()), (ImageUse::None, 0));
    assert_eq!((get(&vault, "a").unwrap(), get(&vault, "b")), (b"1".to_vec(), None));
}

#[test]
fn an_image_is_written_when_due_while_others_write_and_two_are_kept() {
    let fixture = Fixture::new();
    let vault = fixture.vault();
    assert!(!vault.write_image_if_due().unwrap(), "nothing to hold");
    let images = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|thread| {
                let vault = &vault;
                scope.spawn(move || {
                    for number in 0..60_u8 {
                        put(vault, &format!("t{thread}-{number}"), &[number; 600]);
                        vault.sync().unwrap();
                    }
                })
            })
            .collect();
        let mut images = 0;
        while writers.iter().any(|writer| !writer.is_finished()) {
            images += u32::from(vault.write_image_if_due().unwrap());
        }
        images
    });
    assert!(images > 0);
    put(&vault, "last", b"behind the image");
    vault.sync().unwrap();
    drop(vault);
    let vault = fixture.vault();
    assert_eq!(vault.image_use(), ImageUse::Newest);
    assert_eq!(get(&vault, "last").unwrap(), b"behind the image");
    for (thread, number) in (0..2).flat_map(|thread| (0..60_u8).map(move |number| (thread, number)))
    {
        assert_eq!(get(&vault, &format!("t{thread}-{number}")).unwrap(), [number; 600]);
    }
    vault.close().unwrap();
    let kept = std::fs::read_dir(fixture.directory().join("images")).unwrap().count();
    assert!(kept <= 2, "{kept}");
    assert_eq!(fsck(&fixture.directory(), &fixture.secret()).unwrap().findings, []);
}

#[test]
fn an_image_that_cannot_be_written_takes_nothing_from_the_vault() {
    for steps in 0..20 {
        let fixture = Fixture::new();
        let vault = fixture.vault();
        put(&vault, "a", b"1");
        vault.sync().unwrap();
        fixture.disk.faults().die_after(steps);
        let written = vault.write_image();
        drop(vault);
        let alive = Fixture { folder: fixture.folder, ..Fixture::new() };
        let vault = alive.vault();
        assert_eq!(get(&vault, "a").unwrap(), b"1");
        assert_eq!(fsck_of(&alive, vault), [], "after {steps} steps");
        if written.is_ok() {
            assert_ne!(steps, 0);
            return;
        }
    }
    panic!("an image takes fewer steps");
}

fn fsck_of(fixture: &Fixture, vault: Vault) -> Vec<crate::Finding> {
    vault.close().unwrap();
    fsck(&fixture.directory(), &fixture.secret()).unwrap().findings
}
