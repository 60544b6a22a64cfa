//! WAV files in the variants of many programs, from a writer in this test and from five other programs.

use std::fs;
use std::path::PathBuf;

use crate::folder::{Folder, named};
use fosi_lab::data::{AudioError, DataError, Sound, WavError, read_wav};

const RATE: u32 = 8000;
/// The bytes after the tag in the GUID of a registered sub-format, from Microsoft's `ksmedia.h`.
const GUID_TAIL: &[u8; 14] = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71";

/// Number `index` of a sequence that covers all 32 bits; `data/wav/make.py` computes the same.
fn sample(index: usize) -> i32 {
    (index as u32)
        .wrapping_mul(2_654_435_761)
        .wrapping_add(12_345) as i32
}

/// The encoding of samples.
#[derive(Clone, Copy, Debug)]
struct Kind {
    float: bool,
    /// The number of valid bits.
    valid: u32,
    /// The number of stored bits.
    stored: u32,
}

const fn integer(valid: u32, stored: u32) -> Kind {
    Kind {
        float: false,
        valid,
        stored,
    }
}

const fn float(bits: u32) -> Kind {
    Kind {
        float: true,
        valid: bits,
        stored: bits,
    }
}

const KINDS: [Kind; 9] = [
    integer(8, 8),
    integer(12, 16),
    integer(16, 16),
    integer(20, 24),
    integer(24, 24),
    integer(24, 32),
    integer(32, 32),
    float(32),
    float(64),
];

impl Kind {
    /// The number truncated to its valid bits.
    fn kept(self, number: i32) -> i32 {
        match self.float {
            true => number,
            false => number & (-1 << (32 - self.valid)),
        }
    }

    fn bytes(self, number: i32) -> Vec<u8> {
        let real = f64::from(number) / 2f64.powi(31);
        match (self.float, self.stored) {
            (true, 32) => (real as f32).to_le_bytes().to_vec(),
            (true, _) => real.to_le_bytes().to_vec(),
            (false, 8) => vec![((self.kept(number) >> 24) + 128) as u8],
            (false, bits) => self.kept(number).to_le_bytes()[4 - bits as usize / 8..].to_vec(),
        }
    }

    fn real(self, number: i32) -> f64 {
        let real = f64::from(self.kept(number)) / 2f64.powi(31);
        match (self.float, self.stored) {
            (true, 32) => f64::from(real as f32),
            _ => real,
        }
    }
}

/// The variants of the `fmt ` chunk.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// 16 bytes.
    Plain,
    /// 18 bytes, the last two a size of 0.
    Sized,
    /// 20 bytes, with a size of 2 and two private bytes.
    Longer,
    /// 40 bytes, with the stored bits and separately the valid ones.
    Extensible,
    /// 40 bytes, with the valid bits in both places and a size of 0.
    Careless,
}

const FORMS: [Form; 5] = [
    Form::Plain,
    Form::Sized,
    Form::Longer,
    Form::Extensible,
    Form::Careless,
];

/// A file, chunk by chunk.
#[derive(Clone, Debug)]
struct Writer {
    kind: Kind,
    form: Form,
    channels: u16,
    /// The chunks between `fmt ` and `data`.
    chunks: Vec<u8>,
    frames: usize,
    /// The stated lengths of `RIFF` and `data`, if they are incorrect.
    lengths: Option<(u32, u32)>,
    /// The bytes after the samples.
    tail: Vec<u8>,
}

impl Writer {
    fn new(kind: Kind, form: Form) -> Self {
        let (chunks, tail) = (Vec::new(), Vec::new());
        Self {
            kind,
            form,
            channels: 1,
            chunks,
            frames: 37,
            lengths: None,
            tail,
        }
    }

    fn format(&self) -> Vec<u8> {
        let tag = if self.kind.float { 3u16 } else { 1 };
        let frame = self.channels * self.kind.stored as u16 / 8;
        let (outer, bits) = match self.form {
            Form::Plain | Form::Sized | Form::Longer => (tag, self.kind.valid),
            Form::Extensible => (0xfffe, self.kind.stored),
            Form::Careless => (0xfffe, self.kind.valid),
        };
        let mut format = [outer, self.channels].map(u16::to_le_bytes).concat();
        format.extend(
            [RATE, RATE * u32::from(frame)]
                .map(u32::to_le_bytes)
                .concat(),
        );
        format.extend([frame, bits as u16].map(u16::to_le_bytes).concat());
        let size = match self.form {
            Form::Plain => return format,
            Form::Sized | Form::Careless => 0u16,
            Form::Longer => 2,
            Form::Extensible => 22,
        };
        format.extend(size.to_le_bytes());
        match self.form {
            Form::Longer => format.extend(b"\xab\xcd"),
            Form::Extensible | Form::Careless => {
                format.extend((self.kind.valid as u16).to_le_bytes());
                format.extend(4u32.to_le_bytes());
                format.extend(tag.to_le_bytes());
                format.extend(GUID_TAIL);
            }
            Form::Plain | Form::Sized => {}
        }
        format
    }

    fn samples(&self) -> Vec<u8> {
        let count = self.frames * usize::from(self.channels);
        (0..count)
            .flat_map(|index| self.kind.bytes(sample(index)))
            .collect()
    }

    fn file(&self) -> Vec<u8> {
        let samples = self.samples();
        let length = samples.len() as u32;
        let mut content = [
            b"WAVE".to_vec(),
            chunk(b"fmt ", &self.format()),
            self.chunks.clone(),
        ]
        .concat();
        content.extend(b"data");
        content.extend(self.lengths.map_or(length, |(_, data)| data).to_le_bytes());
        content.extend(samples);
        if self.lengths.is_none() && length % 2 == 1 {
            content.push(0);
        }
        content.extend(&self.tail);
        let riff = self.lengths.map_or(content.len() as u32, |(riff, _)| riff);
        [b"RIFF".as_slice(), &riff.to_le_bytes(), &content].concat()
    }

    /// The mean over channels, in [−1, 1).
    fn expected(&self) -> Sound {
        let channels = usize::from(self.channels);
        let real = |index| self.kind.real(sample(index));
        let mean = |frame: usize| {
            let sum: f64 = (frame * channels..(frame + 1) * channels).map(real).sum();
            (sum / channels as f64) as f32
        };
        Sound {
            rate: RATE,
            samples: (0..self.frames).map(mean).collect(),
        }
    }
}

/// A chunk, padded if its content is odd.
fn chunk(id: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = unpadded(id, content);
    chunk.extend(vec![0; content.len() % 2]);
    chunk
}

fn unpadded(id: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [
        id.as_slice(),
        &(content.len() as u32).to_le_bytes(),
        content,
    ]
    .concat()
}

/// `LIST` chunks of odd size, whose padding belongs both to the inner chunk and to the list.
fn odd_info() -> Vec<u8> {
    [b"INFO".to_vec(), unpadded(b"IART", b"odd")].concat()
}

/// Chunks that other programs write before the samples.
fn chunks() -> Vec<(&'static str, Vec<u8>)> {
    let broadcast = vec![b' '; 602];
    vec![
        ("none", Vec::new()),
        ("LIST of odd size", chunk(b"LIST", &odd_info())),
        (
            "LIST with an odd entry",
            chunk(
                b"LIST",
                &[b"INFO".to_vec(), chunk(b"IART", b"odd")].concat(),
            ),
        ),
        (
            "LIST of another kind",
            chunk(b"LIST", b"adtllabl\x05\0\0\0\x01\0\0\0x"),
        ),
        ("LIST that is empty", chunk(b"LIST", b"INFO")),
        ("LIST that is too short", chunk(b"LIST", b"IN")),
        ("LIST that is long", chunk(b"LIST", &vec![b'x'; 70_001])),
        ("bext", chunk(b"bext", &broadcast)),
        (
            "bext of odd size",
            chunk(b"bext", &[&broadcast[..], b"A"].concat()),
        ),
        ("fact", chunk(b"fact", &37u32.to_le_bytes())),
        ("fact of odd size", chunk(b"fact", b"\x25\0\0\0\x07")),
        ("fact that is long", chunk(b"fact", &[0; 12])),
        ("fact that is short", chunk(b"fact", &[0; 2])),
        ("chunk of nothing", chunk(b"JUNK", b"")),
        (
            "several",
            [
                chunk(b"bext", &[1; 605]),
                chunk(b"LIST", &odd_info()),
                chunk(b"fact", &[0; 5]),
            ]
            .concat(),
        ),
        (
            "odd without padding",
            [unpadded(b"LIST", &odd_info()), unpadded(b"bext", &[0; 603])].concat(),
        ),
        (
            "odd with a space for padding",
            [unpadded(b"LIST", &odd_info()), b" ".to_vec()].concat(),
        ),
    ]
}

thread_local! {
    /// A common folder for all files of the tests.
    static FOLDER: Folder = Folder::new();
}

fn read(bytes: &[u8]) -> Result<Sound, DataError> {
    FOLDER.with(|folder| read_wav(&folder.write("a.wav", bytes)))
}

fn wav_error(bytes: &[u8]) -> WavError {
    let path = FOLDER.with(|folder| folder.write("a.wav", bytes));
    match named(read_wav(&path), &path) {
        DataError::Audio(AudioError::Damaged { source, .. }) => source,
        other => panic!("{other}"),
    }
}

#[test]
fn samples_are_the_writers_in_every_kind_form_and_number_of_channels() {
    for kind in KINDS {
        for form in FORMS {
            for channels in [1, 2, 3, 6] {
                let writer = Writer {
                    channels,
                    ..Writer::new(kind, form)
                };
                assert_eq!(
                    read(&writer.file()).unwrap(),
                    writer.expected(),
                    "{writer:?}"
                );
            }
        }
    }
}

#[test]
fn chunks_of_other_programs_are_passed_over() {
    for kind in [integer(16, 16), integer(24, 24), float(32)] {
        for (name, chunks) in chunks() {
            let before = Writer {
                chunks: chunks.clone(),
                ..Writer::new(kind, Form::Sized)
            };
            assert_eq!(
                read(&before.file()).unwrap(),
                before.expected(),
                "{name}: {kind:?}"
            );
            let after = Writer {
                tail: chunks,
                ..Writer::new(kind, Form::Plain)
            };
            assert_eq!(
                read(&after.file()).unwrap(),
                after.expected(),
                "{name} at the end: {kind:?}"
            );
        }
    }
}

/// A program that writes to a pipe cannot seek back to write the length.
#[test]
fn lengths_that_a_stream_leaves_behind_mean_the_rest_of_the_file() {
    let riff = [0, 36, u32::MAX, 0x7fff_f024];
    for kind in KINDS {
        for channels in [1, 2, 5] {
            let frame = u32::from(channels) * kind.stored / 8;
            for data in [0, u32::MAX, 0x7fff_ff00, 0x7fff_f000 / frame * frame] {
                for riff in riff {
                    let lengths = Some((riff, data));
                    let writer = Writer {
                        channels,
                        lengths,
                        ..Writer::new(kind, Form::Extensible)
                    };
                    assert_eq!(
                        read(&writer.file()).unwrap(),
                        writer.expected(),
                        "{writer:?}"
                    );
                    // An incomplete frame or padding: less than a frame.
                    let tail = vec![0; frame as usize - 1];
                    let begun = Writer { tail, ..writer };
                    assert_eq!(read(&begun.file()).unwrap(), begun.expected(), "{begun:?}");
                }
            }
        }
    }
}

#[test]
fn a_file_without_samples_is_empty_whatever_follows() {
    for tail in [Vec::new(), chunk(b"LIST", &odd_info())] {
        let writer = Writer {
            frames: 0,
            tail,
            ..Writer::new(integer(16, 16), Form::Plain)
        };
        let error = read(&writer.file()).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::Empty {
                    what: "samples",
                    ..
                }
            ),
            "{error}"
        );
    }
    for length in [0, u32::MAX] {
        let lengths = Some((length, length));
        let writer = Writer {
            frames: 0,
            lengths,
            ..Writer::new(integer(16, 16), Form::Plain)
        };
        let error = read(&writer.file()).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::Empty {
                    what: "samples",
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// The end of a stream is unknown: each truncation is a shorter stream.
#[test]
fn every_cut_is_refused_and_of_a_stream_the_whole_frames_are_read() {
    for (_, chunks) in chunks()
        .into_iter()
        .filter(|(_, chunks)| chunks.len() < 100)
    {
        let whole = Writer {
            chunks: chunks.clone(),
            frames: 5,
            ..Writer::new(integer(24, 32), Form::Extensible)
        };
        let bytes = whole.file();
        for length in 0..bytes.len() {
            wav_error(&bytes[..length]);
        }
        let stream = Writer {
            lengths: Some((0, 0)),
            ..whole
        };
        let (bytes, expected) = (stream.file(), stream.expected().samples);
        let start = bytes.len() - stream.samples().len();
        for length in start..bytes.len() {
            match read(&bytes[..length]) {
                Ok(sound) => assert_eq!(sound.samples, expected[..(length - start) / 4]),
                Err(error) => assert!(
                    length < start + 4 && matches!(error, DataError::Empty { .. }),
                    "{error}"
                ),
            }
        }
    }
}

#[test]
fn files_of_other_programs_hold_the_same_numbers() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/suite/data/wav");
    let kind = |name: &str| match name.rsplit_once(['-', '_']).map(|(_, kind)| kind) {
        Some("u8") => integer(8, 8),
        Some("i16" | "16") => integer(16, 16),
        Some("i24" | "24") => integer(24, 24),
        Some("i32" | "32") => integer(32, 32),
        Some("f32" | "float") => float(32),
        Some("f64" | "double") => float(64),
        other => panic!("{other:?}"),
    };
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|e| e == "wav") {
            let expected = Writer::new(kind(&name), Form::Plain).expected();
            assert_eq!(read_wav(&path).unwrap(), expected, "{name}");
            count += 1;
        }
    }
    assert_eq!(count, 34);
}

#[test]
fn what_is_no_wav_file_says_what_it_is() {
    let good = Writer::new(integer(16, 16), Form::Plain).file();
    let big_endian = [b"RIFX", &good[4..]].concat();
    let picture = [&good[..8], b"AVI ", &good[12..]].concat();
    let cases: [(&[u8], Option<&str>); 7] = [
        (
            b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1",
            Some("a Wave64 file"),
        ),
        (&big_endian, Some("a big-endian WAV file")),
        (&picture, None),
        (b"OggS\0\x02", Some("an Ogg file")),
        (b"RIFF", None),
        (b"RF64", None),
        (b"", None),
    ];
    for (bytes, format) in cases {
        let found = bytes[..bytes.len().min(12)].to_vec();
        let error = wav_error(bytes);
        let message = error.to_string();
        assert_eq!(error, WavError::NotWav { found, format });
        assert_eq!(
            message.contains("convert it"),
            format.is_some(),
            "{message}"
        );
    }
    let headless = [&good[..12], &good[36..]].concat();
    assert_eq!(wav_error(&headless), WavError::Lacking { id: "fmt " });
    assert_eq!(wav_error(&good[..12]), WavError::Lacking { id: "fmt " });
    assert_eq!(wav_error(&good[..36]), WavError::Lacking { id: "data" });
}

/// A file whose lengths are moved to a `ds64` chunk, as in RF64.
fn wide(file: &[u8], id: &[u8; 4], riff: u64, data: u64) -> Vec<u8> {
    let lengths = [riff, data, 37].map(u64::to_le_bytes).concat();
    let ds64 = chunk(b"ds64", &[&lengths[..], &[0; 4]].concat());
    let at = file.windows(4).position(|four| four == b"data").unwrap();
    let data = [b"data".as_slice(), &[0xff; 4], &file[at + 8..]].concat();
    [id, &[0xff; 4][..], b"WAVE", &ds64, &file[12..at], &data].concat()
}

#[test]
fn lengths_of_64_bits_are_those_of_rf64() {
    for form in FORMS {
        let writer = Writer {
            tail: chunk(b"LIST", &odd_info()),
            ..Writer::new(integer(24, 24), form)
        };
        let (file, length) = (writer.file(), writer.samples().len() as u64);
        let riff = file.len() as u64 + 36 - 8;
        for id in [b"RF64", b"BW64"] {
            let sound = read(&wide(&file, id, riff, length)).unwrap();
            assert_eq!(sound, writer.expected());
        }
    }
    let writer = Writer::new(integer(16, 16), Form::Plain);
    let file = writer.file();
    // The length was never written: the samples extend to the end.
    for (riff, length) in [(0, 0), (u64::MAX, u64::MAX)] {
        let sound = read(&wide(&file, b"RF64", riff, length)).unwrap();
        assert_eq!(sound, writer.expected());
    }
    // A `data` chunk that states its own length keeps it.
    let stated = [b"RF64", &file[4..]].concat();
    assert_eq!(read(&stated).unwrap(), writer.expected());

    let claims = wide(&file, b"RF64", 1 << 40, 1 << 40);
    let truncated = WavError::Truncated {
        id: "data".to_owned(),
        expected: 1 << 40,
        found: 74,
    };
    assert_eq!(wav_error(&claims), truncated);
    let mut nothing = stated;
    nothing[40..44].copy_from_slice(&[0xff; 4]);
    assert_eq!(wav_error(&nothing), WavError::Lacking { id: "ds64" });
    let short = [
        b"RF64\xff\xff\xff\xffWAVE".as_slice(),
        &chunk(b"ds64", &[0; 16]),
    ];
    let error = WavError::ShortChunk {
        id: "ds64",
        found: 16,
        expected: 24,
    };
    assert_eq!(wav_error(&short.concat()), error);
}

#[test]
fn lengths_beyond_the_file_are_named_and_cost_no_memory() {
    let good = Writer::new(integer(16, 16), Form::Plain).file();
    for length in [75, 0x7fff_f001, 0xffff_fff0, 0xffff_fffe_u32] {
        let mut bytes = good.clone();
        bytes[40..44].copy_from_slice(&length.to_le_bytes());
        let truncated = |id: &str, found| WavError::Truncated {
            id: id.to_owned(),
            expected: u64::from(length),
            found,
        };
        assert_eq!(wav_error(&bytes), truncated("data", 74));
        bytes[36..40].copy_from_slice(b"LI\xffT");
        assert_eq!(wav_error(&bytes), truncated("LI\\xffT", 74));
    }
    let mut bytes = good.clone();
    bytes[40..44].copy_from_slice(&73u32.to_le_bytes());
    assert_eq!(
        wav_error(&bytes),
        WavError::CutFrame {
            found: 73,
            frame: 2
        }
    );
    let message = wav_error(&bytes).to_string();
    assert!(message.contains("73 bytes"), "{message}");
}

#[test]
fn contradictions_in_the_format_are_refused_with_their_numbers() {
    let format = |tag: u16, channels: u16, frame: u16, bits: u16| {
        let mut bytes = Writer::new(integer(16, 16), Form::Plain).file();
        for (at, value) in [(20, tag), (22, channels), (32, frame), (34, bits)] {
            bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        wav_error(&bytes)
    };
    let frame = |channels, frame, bits| WavError::Frame {
        frame,
        channels,
        bits,
        valid: bits,
    };
    let impossible = [
        (0, 2, 16),
        (0, 0, 16),
        (1, 0, 16),
        (1, 1, 16),
        (1, 4, 16),
        (2, 3, 16),
        (2, 2, 16),
        (1, 5, 32),
        (65_535, 65_535, 32),
        (65_535, 4, 32),
        (1, 65_535, 16),
        (40, 2, 16),
    ];
    for (channels, bytes, bits) in impossible {
        assert_eq!(
            format(1, channels, bytes, bits),
            frame(channels, bytes, bits)
        );
    }
    assert_eq!(format(3, 1, 4, 64), frame(1, 4, 64));
    assert_eq!(format(3, 1, 8, 32), frame(1, 8, 32));
    // Adaptive PCM, A-law, and numbers of other sizes.
    for (tag, bits) in [
        (2, 4),
        (6, 8),
        (7, 8),
        (0x55, 0),
        (1, 0),
        (1, 33),
        (1, 64),
        (3, 16),
        (3, 24),
        (0, 16),
    ] {
        assert_eq!(format(tag, 1, 2, bits), WavError::Encoding { tag, bits });
    }
}

#[test]
fn formats_that_are_cut_short_or_unregistered_are_refused() {
    for (form, length, expected) in [
        (Form::Plain, 14, 16),
        (Form::Plain, 0, 16),
        (Form::Extensible, 18, 40),
        (Form::Extensible, 38, 40),
    ] {
        let writer = Writer::new(integer(32, 32), form);
        let format = &writer.format()[..length];
        let bytes = [
            b"RIFF\0\0\0\0WAVE".to_vec(),
            chunk(b"fmt ", format),
            chunk(b"data", &[0; 8]),
        ]
        .concat();
        let found = length;
        assert_eq!(
            wav_error(&bytes),
            WavError::ShortChunk {
                id: "fmt ",
                found,
                expected
            }
        );
    }
    let mut bytes = Writer::new(integer(24, 32), Form::Extensible).file();
    // More valid bits than stored bits.
    bytes[38] = 33;
    let expected = WavError::Frame {
        frame: 4,
        channels: 1,
        bits: 32,
        valid: 33,
    };
    assert_eq!(wav_error(&bytes), expected);
    bytes[38] = 24;
    bytes[59] ^= 1;
    assert!(matches!(wav_error(&bytes), WavError::SubFormat { found } if found[..2] == [1, 0]));
}
