//! Lists, tables and settings in the variants written by editors and spreadsheets: with a byte-order mark, CRLF, blank
//! lines, quotes.

use std::fs;
use std::path::Path;

use crate::folder::{Folder, named};
use fosi_lab::config::{TaskName, TrainConfig, TrainOptions, TrainingLength};
use fosi_lab::data::{
    AudioError, AudioSetFiles, AudioSplit, ClassList, Clips, Damaged, DataError, NonAscii,
    read_text,
};
use fosi_lab::runs::{Run, RunError, RunFolder, RunLock};

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The lines in their variants, each with the number of lines before the first.
fn forms(text: &str) -> Vec<(String, u64)> {
    let crlf = text.replace('\n', "\r\n");
    let mut forms = Vec::new();
    for (lines, end) in [(text, "\n"), (&crlf, "\r\n")] {
        let blank = [end, "  ", end, "\t", end, end].concat();
        let whole = [
            (lines.to_owned(), 0),
            (lines.trim_end().to_owned(), 0),
            (format!("{lines}{end}"), 0),
            (format!("{lines}{blank}"), 0),
            (format!("{lines}{blank}   "), 0),
            (format!("{end}{end}{lines}"), 2),
        ];
        for (text, before) in whole {
            forms.push((format!("{BYTE_ORDER_MARK}{text}"), before));
            forms.push((text, before));
        }
    }
    forms
}

const CLASSES: &str = "index,mid,display_name\n0,/m/09x0r,Speech\n\
                       1,/m/05zppz,\"Male speech, man speaking\"\n2,/t/dd00088,Gargling\n";
const SEGMENTS: &str = "# Segments csv created Sun Mar  5 10:54:31 2017\n\
                        # YTID, start_seconds, end_seconds, positive_labels\n\
                        --PJHxphWEs, 30.000, 40.000, \"/t/dd00088,/m/09x0r\"\n\
                        -0RWZT-miFs, 420.000, 430.000, \"/m/05zppz\"\n";
const LABELS: &str =
    "file,labels\n--PJHxphWEs_30.000.wav,\"/t/dd00088, /m/09x0r\"\n-0RWZT-miFs.wav,/m/05zppz\n";

fn audio_set(classes: &str, train: &str, validation: &str) -> Folder {
    let folder = Folder::new();
    folder.write("class_labels_indices.csv", classes);
    folder.write("train.csv", train);
    folder.write("eval.csv", validation);
    for clip in ["--PJHxphWEs_30.000.wav", "-0RWZT-miFs.wav"] {
        folder.write(clip, b"decoded later");
    }
    folder
}

fn load(folder: &Folder) -> Result<AudioSplit, DataError> {
    AudioSetFiles::find(folder.path())?.read(Damaged::Refuse)
}

fn labels(clips: &Clips) -> Vec<(String, Vec<u16>)> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    clips
        .clips
        .iter()
        .map(|clip| (name(&clip.path), clip.labels.clone()))
        .collect()
}

fn expected_labels() -> Vec<(String, Vec<u16>)> {
    vec![
        ("--PJHxphWEs_30.000.wav".to_owned(), vec![0, 2]),
        ("-0RWZT-miFs.wav".to_owned(), vec![1]),
    ]
}

#[test]
fn a_list_of_classes_is_the_same_in_every_form() {
    let quoted = "\"index\",\"mid\",\"display_name\"\n\"0\",\"/m/09x0r\",\"Speech\"\n\
                  \"1\",\"/m/05zppz\",\"Male speech, man speaking\"\n\"2\",\"/t/dd00088\",\"Gargling\"\n";
    let spaced = CLASSES
        .replace(",mid", ", mid ")
        .replace(",/", " , /")
        .replace("Gargling", " Gargling ");
    let folder = Folder::new();
    for text in [CLASSES, quoted, &spaced] {
        for (form, _) in forms(text) {
            let list = ClassList::read(&folder.write("list.csv", &form)).unwrap();
            assert_eq!(
                list.names,
                ["Speech", "Male speech, man speaking", "Gargling"],
                "{form:?}"
            );
        }
    }
}

#[test]
fn lists_of_clips_are_the_same_in_every_form() {
    let quoted = SEGMENTS.replace(
        "--PJHxphWEs, 30.000, 40.000, ",
        "\"--PJHxphWEs\",\"30.000\",\"40.000\",",
    );
    // The output of a spreadsheet after reading the list: one field per line part, some with the quotes as characters.
    let again = "# Segments csv created Sun Mar  5 10:54:31 2017,,,,\n\
                 \"# YTID, start_seconds\", end_seconds, positive_labels,,\n\
                 --PJHxphWEs, 30.000, 40.000,\" \"\"/t/dd00088\",\"/m/09x0r\"\"\"\n\
                 -0RWZT-miFs, 420.000, 430.000,\" \"\"/m/05zppz\"\"\",\n,,,,\n";
    let quoted_comment = SEGMENTS.replace(
        "# YTID, start_seconds, end_seconds, positive_labels",
        "\"# a, b\"",
    );
    let all_quoted = "\"file\",\"labels\"\n\"--PJHxphWEs_30.000.wav\",\"/t/dd00088,/m/09x0r\"\n\
                      \"-0RWZT-miFs.wav\",\"/m/05zppz\"\n";
    for text in [
        SEGMENTS,
        &quoted,
        again,
        &quoted_comment,
        LABELS,
        all_quoted,
    ] {
        for (form, _) in forms(text) {
            let split = load(&audio_set(CLASSES, &form, &form))
                .unwrap_or_else(|e| panic!("{e} in {form:?}"));
            assert_eq!(labels(&split.train), expected_labels(), "{form:?}");
            assert_eq!(labels(&split.validation), expected_labels(), "{form:?}");
        }
    }
}

#[test]
fn a_fault_is_named_by_its_line_in_every_form() {
    let cases = [
        (CLASSES, "2,/t/dd00088", "3,/t/dd00088", 4),
        (CLASSES, "/t/dd00088,Gargling", "/t/dd00088", 4),
        (CLASSES, "/t/dd00088", "/m/09x0r", 4),
        (SEGMENTS, "430.000, ", "", 4),
        (SEGMENTS, "420.000", "zero", 4),
        (SEGMENTS, "/m/05zppz", "/m/unknown", 4),
        (LABELS, ",/m/05zppz", "", 3),
        (LABELS, "/m/05zppz", "Speech", 3),
        (LABELS, "\"/t/dd00088", "\"\"/t/dd00088", 2),
        (LABELS, "/m/09x0r\"", "/m/09x0r", 2),
        (
            SEGMENTS,
            " \"/t/dd00088,/m/09x0r\"",
            "\"/t/dd00088,/m/09x0r",
            3,
        ),
    ];
    for (good, from, to, expected) in cases {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        for (form, before) in forms(&bad) {
            let folder = match good == CLASSES {
                true => audio_set(&form, LABELS, LABELS),
                false => audio_set(CLASSES, &form, LABELS),
            };
            let line = match load(&folder).unwrap_err() {
                DataError::Audio(
                    AudioError::Line { line, .. } | AudioError::UnknownLabel { line, .. },
                ) => line,
                other => panic!("{other} in {form:?}"),
            };
            assert_eq!(line, expected + before, "{form:?}");
        }
    }
}

/// An unclosed quote would make the rest of the list part of the field.
#[test]
fn an_open_quote_swallows_no_row() {
    let comment = SEGMENTS.replace("# YTID,", "\"# YTID,");
    for text in [comment.as_str(), &LABELS.replace("\n-0", "\n\"-0")] {
        let folder = audio_set(CLASSES, text, LABELS);
        let error = load(&folder).unwrap_err();
        assert!(
            matches!(error, DataError::Audio(AudioError::Line { .. })),
            "{error}"
        );
    }
}

#[test]
fn lists_without_a_row_or_in_another_encoding_are_refused() {
    let utf16: Vec<u8> = LABELS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for text in [
        "",
        BYTE_ORDER_MARK,
        "\r\n\r\n",
        "file,labels\r\n",
        "# only a comment\r\n\r\n",
        ",\n,\n",
    ] {
        let folder = audio_set(CLASSES, text, LABELS);
        named(load(&folder), &folder.path().join("train.csv"));
        let folder = audio_set(text, LABELS, LABELS);
        named(
            load(&folder),
            &folder.path().join("class_labels_indices.csv"),
        );
    }
    let folder = audio_set(CLASSES, LABELS, LABELS);
    for bytes in [
        [b"\xff\xfe".to_vec(), utf16].concat(),
        b"file,labels\n\xe9.wav,\n".to_vec(),
    ] {
        let path = folder.write("train.csv", bytes);
        let message = named(load(&folder), &path).to_string();
        assert!(
            message.contains("UTF-8") && message.contains("line "),
            "{message}"
        );
    }
}

#[test]
fn metrics_are_the_same_in_every_form() {
    let good = include_str!("data/metrics.csv");
    let folder = Folder::new();
    folder.write("run.json", include_str!("data/run.json"));
    folder.write("metrics.csv", good);
    let expected = Run::read(folder.path()).unwrap();
    assert_eq!(expected.rows.len(), 2);
    let quoted: String = good
        .lines()
        .map(|line| format!("\"{}\"\n", line.replace(',', "\",\"")))
        .collect();
    for text in [good, &quoted] {
        for (form, before) in forms(text) {
            folder.write("metrics.csv", &form);
            let found = Run::read(folder.path()).unwrap_or_else(|e| panic!("{e} in {form:?}"));
            assert_eq!(found, expected, "{form:?}");
            // A resumed run keeps its rows.
            let ended = form.trim_end().len() + 1 < form.len() || form.ends_with('\n');
            if ended {
                let (_, reopened) =
                    RunFolder::reopen(RunLock::take(folder.path()).unwrap(), 2).unwrap();
                assert_eq!(reopened.rows, expected.rows, "{form:?}");
                assert_eq!(Run::read(folder.path()).unwrap(), expected, "{form:?}");
            }
            folder.write("metrics.csv", form.replace("fosi-hb", "fosi-xy"));
            let error = Run::read(folder.path()).unwrap_err();
            assert!(
                matches!(error, RunError::Metrics { line, .. } if line == 3 + before),
                "{error}: {form:?}"
            );
        }
    }
}

#[test]
fn records_and_settings_are_the_same_in_every_form() {
    let json = include_str!("data/run.json");
    let toml = "optimizers = \"hb\"\n# a comment\nepochs = 7\nlr = { hb = 0.25 }\n";
    let folder = Folder::new();
    folder.write("metrics.csv", include_str!("data/metrics.csv"));
    folder.write("run.json", json);
    let expected = Run::read(folder.path()).unwrap();
    let settings = |text: &str| {
        let path = folder.write("run.toml", text);
        TrainConfig::resolve(TaskName::Lr, &[TrainOptions::from_file(&path).unwrap()]).unwrap()
    };
    let config = settings(toml);
    assert_eq!(
        (config.length, config.lr.hb),
        (TrainingLength::Epochs(7), 0.25)
    );
    for (form, _) in forms(json) {
        folder.write("run.json", &form);
        assert_eq!(Run::read(folder.path()).unwrap(), expected);
    }
    for (form, _) in forms(toml) {
        assert_eq!(settings(&form), config, "{form:?}");
    }
}

#[test]
fn a_byte_order_mark_is_no_character_of_a_text() {
    let folder = Folder::new();
    for non_ascii in [NonAscii::Refuse, NonAscii::Replace] {
        let path = folder.write("input.txt", format!("{BYTE_ORDER_MARK}to be\r\n"));
        assert_eq!(
            read_text(&path, non_ascii).unwrap(),
            (b"to be\r\n".to_vec(), 0)
        );
    }
    let path = folder.write(
        "input.txt",
        format!("{BYTE_ORDER_MARK}or{BYTE_ORDER_MARK}not"),
    );
    let message = named(read_text(&path, NonAscii::Refuse), &path).to_string();
    assert!(message.contains("byte 5 (line 1) is 0xef"), "{message}");
    assert_eq!(fs::read(&path).unwrap()[5], 0xef);
    assert_eq!(
        read_text(&path, NonAscii::Replace).unwrap(),
        (b"or?not".to_vec(), 1)
    );
}
