//! Text as characters, tested on generated texts.

use crate::folder::{Folder, named, real_data};
use fosi_lab::data::{DataError, NonAscii, TextError, TextSplit, read_text, text_sequences};

fn load(text: impl AsRef<[u8]>, length: usize) -> Result<TextSplit, DataError> {
    let folder = Folder::new();
    let path = folder.write("some.txt", text);
    text_sequences(&path, length, NonAscii::Refuse)
}

/// 0, 1, 2, … modulo 128.
fn counting(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 128) as u8).collect()
}

#[test]
fn sequences_follow_each_other_and_targets_are_one_ahead() {
    let split = load(counting(100), 4).unwrap();
    // 90 characters for training: ⌊89/4⌋ sequences; 10 for validation: ⌊9/4⌋.
    assert_eq!((split.train.len(), split.validation.len()), (22, 2));
    assert_eq!(split.replaced, 0);
    let batch = split.train.gather(&[21, 0]);
    assert_eq!(batch.inputs, [84, 85, 86, 87, 0, 1, 2, 3]);
    assert_eq!(batch.targets, [85, 86, 87, 88, 1, 2, 3, 4]);
    let batch = split.validation.gather(&[1]);
    assert_eq!(batch.inputs, [94, 95, 96, 97]);
    assert_eq!(batch.targets, [95, 96, 97, 98]);
}

#[test]
fn every_length_gives_the_number_of_sequences_that_fit() {
    for (characters, length) in [(100, 1), (100, 9), (57, 2), (1000, 99)] {
        let split = load(counting(characters), length).unwrap();
        for part in [&split.train, &split.validation] {
            let indices: Vec<u32> = (0..part.len() as u32).collect();
            let batch = part.gather(&indices);
            assert_eq!(batch.inputs, part.codes()[..part.len() * length]);
            assert_eq!(batch.targets, part.codes()[1..=part.len() * length]);
            assert!(part.codes().len() - 1 - part.len() * length < length);
        }
    }
}

#[test]
fn a_text_shorter_than_one_sequence_is_refused() {
    let short = |characters, length| match load(counting(characters), length).unwrap_err() {
        DataError::Text(TextError::TooShort {
            part,
            found,
            length: 8,
            ..
        }) => (part, found),
        other => panic!("{other}"),
    };
    assert_eq!(short(0, 8), ("training", 0));
    assert_eq!(short(9, 8), ("training", 8));
    assert_eq!(short(80, 8), ("validation", 8));
    assert_eq!(load(counting(90), 8).unwrap().validation.len(), 1);
    assert!(matches!(
        load(counting(90), 0).unwrap_err(),
        DataError::Text(TextError::Length { given: 0 })
    ));
    // A length whose successor exceeds the type must not overflow in the message.
    assert!(
        load(counting(90), usize::MAX)
            .unwrap_err()
            .to_string()
            .contains("too short")
    );
}

#[test]
fn other_characters_are_refused_by_offset_or_replaced_and_counted() {
    let folder = Folder::new();
    let path = folder.write("a.txt", "one\ntwo é and €");
    let error = named(read_text(&path, NonAscii::Refuse), &path);
    assert!(
        matches!(
            error,
            DataError::Text(TextError::NotAscii {
                offset: 8,
                line: 2,
                byte: 0xc3,
                ..
            })
        ),
        "{error}"
    );
    let (codes, replaced) = read_text(&path, NonAscii::Replace).unwrap();
    assert_eq!(codes, b"one\ntwo ? and ?");
    assert_eq!(replaced, 2);
    // Bytes that are not valid UTF-8.
    let path = folder.write("b.txt", b"a\xff\xfeb\x00\x7f");
    let (codes, replaced) = read_text(&path, NonAscii::Replace).unwrap();
    assert_eq!((codes.as_slice(), replaced), (&b"a??b\x00\x7f"[..], 2));
}

#[test]
fn the_text_is_found_in_its_folder() {
    for name in ["input.txt", "tinyshakespeare/input.txt"] {
        let folder = Folder::new();
        folder.write(name, counting(100));
        assert!(text_sequences(folder.path(), 4, NonAscii::Refuse).is_ok());
    }
    let folder = Folder::new();
    let error = named(
        text_sequences(folder.path(), 4, NonAscii::Refuse),
        folder.path(),
    );
    assert!(matches!(error, DataError::Text(TextError::Missing { .. })));
}

#[test]
fn real_tiny_shakespeare() {
    let Some(directory) = real_data("tinyshakespeare") else {
        return;
    };
    let split = text_sequences(&directory, 128, NonAscii::Refuse).unwrap();
    // 1,115,394 characters, 1,003,854 of them for training.
    assert_eq!((split.train.len(), split.validation.len()), (7842, 871));
    assert!(split.train.codes().starts_with(b"First Citizen:\n"));
}
