use super::{Guard, SecretBox, guard};
use std::io::{Read, Seek, SeekFrom};

/// The line of `/proc/self/maps` of the mapping that holds `address`.
fn mapping(address: usize) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let holds = |line: &&str| {
        let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).unwrap());
        (start..end).contains(&address)
    };
    maps.lines().find(holds).unwrap().to_owned()
}

#[test]
fn a_secret_keeps_its_value_and_can_be_changed() {
    let mut secret = SecretBox::make(|| [7_u8; 100]);
    secret[3] = 1;
    assert_eq!((secret[2], secret[3]), (7, 1));
    assert_eq!(format!("{secret:?}"), "SecretBox(..)");
}

#[test]
fn secrets_of_all_sizes_lie_apart_and_are_aligned() {
    let small: Vec<_> = (0..100_u8).map(|it| SecretBox::make(|| [it; 32])).collect();
    let large: Vec<_> = (0..100_u64).map(|it| SecretBox::make(|| [it; 200])).collect();
    assert!(small.iter().zip(0..).all(|(secret, it)| secret.iter().all(|byte| *byte == it)));
    assert!(large.iter().zip(0..).all(|(secret, it)| secret.iter().all(|word| *word == it)));
    assert!(large.iter().all(|secret| secret.as_ptr().is_aligned()));
}

#[test]
#[expect(unsafe_code, reason = "to look at what was left")]
fn a_dropped_secret_leaves_zeros_and_its_place_is_used_again() {
    // No other test makes secrets of this size.
    let secret = SecretBox::make(|| [0xa5_u8; 3000]);
    let place = secret.as_ptr();
    drop(secret);
    // SAFETY: a region stays mapped, and nobody else has the place.
    let left = unsafe { std::slice::from_raw_parts(place, 3000) };
    assert!(left.iter().all(|byte| *byte == 0));
    let next = SecretBox::make(|| [1_u8; 2100]);
    assert_eq!(next.as_ptr(), place, "the place is used again");
}

#[test]
fn before_and_behind_a_region_nothing_can_be_touched() {
    let secret = SecretBox::<[u8; 32]>::default();
    let own = mapping(secret.as_ptr().addr());
    let (start, end) = own.split_once(' ').unwrap().0.split_once('-').unwrap();
    for beside in
        [usize::from_str_radix(start, 16).unwrap() - 1, usize::from_str_radix(end, 16).unwrap()]
    {
        assert!(mapping(beside).contains(" ---p "), "{}", mapping(beside));
    }
}

#[test]
fn nobody_reads_a_key_through_the_kernel_where_there_is_secret_memory() {
    if guard() != Guard::Secret {
        let reason = "skipped: this kernel gives no memfd_secret(2)";
        std::io::Write::write_all(&mut std::io::stderr(), reason.as_bytes()).unwrap();
        return;
    }
    let secret = SecretBox::make(|| [0xa5_u8; 32]);
    let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
    memory.seek(SeekFrom::Start(secret.as_ptr().addr() as u64)).unwrap();
    let read = memory.read(&mut [0; 32]);
    assert!(read.is_err(), "{read:?}");
    assert!(mapping(secret.as_ptr().addr()).contains("secretmem"));
}
