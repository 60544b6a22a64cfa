//! WAV files, resampling, spoken digits and AudioSet's layout, tested on generated files.

use std::f64::consts::TAU;
use std::path::Path;

use crate::folder::{Folder, named, real_data};
use fosi_lab::data::{
    AudioError, AudioSetFiles, AudioSplit, BANDS, ClipLength, Clips, Damaged, DataError, FRAMES,
    LogMel, PATCH_SAMPLES, Sound, fsdd, read_wav, resample,
};

/// A WAV file, field by field.
fn wav(format: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let frame = channels * bits / 8;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0");
    bytes.extend([format, channels].map(u16::to_le_bytes).concat());
    bytes.extend(
        [rate, rate * u32::from(frame)]
            .map(u32::to_le_bytes)
            .concat(),
    );
    bytes.extend([frame, bits].map(u16::to_le_bytes).concat());
    bytes.extend(b"data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn wav16(rate: u32, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
    wav(1, 1, rate, 16, &data)
}

/// A tone at a tenth of the rate, with `length` samples.
fn tone(rate: u32, length: usize) -> Vec<u8> {
    let samples: Vec<i16> = (0..length)
        .map(|i| (8000.0 * (TAU * i as f64 / 10.0).sin()) as i16)
        .collect();
    wav16(rate, &samples)
}

fn audio_error<T: std::fmt::Debug>(result: Result<T, DataError>) -> AudioError {
    match result.unwrap_err() {
        DataError::Audio(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn every_format_gives_the_same_samples() {
    let folder = Folder::new();
    let read = |bytes: Vec<u8>| read_wav(&folder.write("x.wav", bytes)).unwrap();
    let expected = Sound {
        rate: 8000,
        samples: vec![0.5, -1.0, 0.0, 0.25],
    };
    // 8-bit samples are unsigned, around 128.
    assert_eq!(read(wav(1, 1, 8000, 8, &[192, 0, 128, 160])), expected);
    assert_eq!(read(wav16(8000, &[16384, -32768, 0, 8192])), expected);
    let bytes = [[0, 0, 0x40], [0, 0, 0x80], [0, 0, 0], [0, 0, 0x20]].concat();
    assert_eq!(read(wav(1, 1, 8000, 24, &bytes)), expected);
    let long = [1 << 30, i32::MIN, 0, 1 << 29]
        .map(i32::to_le_bytes)
        .concat();
    assert_eq!(read(wav(1, 1, 8000, 32, &long)), expected);
    let floats = [0.5f32, -1.0, 0.0, 0.25].map(f32::to_le_bytes).concat();
    assert_eq!(read(wav(3, 1, 8000, 32, &floats)), expected);
    // Two channels are averaged.
    let stereo = [1.0f32, 0.0, -1.5, -0.5, 0.25, -0.25, 0.0, 0.5].map(f32::to_le_bytes);
    assert_eq!(read(wav(3, 2, 8000, 32, &stereo.concat())), expected);
}

#[test]
fn every_cut_of_a_wav_is_refused() {
    let folder = Folder::new();
    let whole = wav16(8000, &[1, 2, 3]);
    for length in 0..whole.len() {
        let path = folder.write("cut.wav", &whole[..length]);
        let error = named(read_wav(&path), &path);
        assert!(
            matches!(error, DataError::Audio(AudioError::Damaged { .. })),
            "{length}"
        );
    }
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let folder = Folder::new();
    let refused = |bytes: Vec<u8>| {
        let path = folder.write("x.wav", bytes);
        named(read_wav(&path), &path)
    };
    assert!(matches!(
        refused(wav16(8000, &[])),
        DataError::Empty {
            what: "samples",
            ..
        }
    ));
    for rate in [0, 1, 999, 384_001, u32::MAX / 2] {
        let error = refused(wav16(rate, &[1]));
        assert!(
            matches!(error, DataError::Audio(AudioError::Rate { found, .. }) if found == rate),
            "{error}"
        );
    }
    let floats = [0.5f32, f32::NAN, f32::INFINITY]
        .map(f32::to_le_bytes)
        .concat();
    assert!(matches!(
        refused(wav(3, 1, 8000, 32, &floats)),
        DataError::Audio(AudioError::NotFinite { index: 1, .. })
    ));
    // A-law.
    let error = refused(wav(6, 1, 8000, 8, &[1, 2]));
    assert!(matches!(
        error,
        DataError::Audio(AudioError::Damaged { .. })
    ));
    // The data chunk states 4 GB.
    let mut bytes = wav16(8000, &[1, 2]);
    bytes[40..44].copy_from_slice(&0xffff_fffeu32.to_le_bytes());
    let error = refused(bytes);
    assert!(matches!(
        error,
        DataError::Audio(AudioError::Damaged { .. })
    ));
    let missing = folder.path().join("missing.wav");
    assert!(matches!(
        named(read_wav(&missing), &missing),
        DataError::Read { .. }
    ));
}

#[test]
fn no_byte_of_a_header_makes_it_panic() {
    let folder = Folder::new();
    let whole = wav16(8000, &[1, 2, 3, 4]);
    for position in 0..44 {
        for value in [0, 1, 2, 3, 0x7f, 0x80, 0xfe, 0xff] {
            let mut bytes = whole.clone();
            bytes[position] = value;
            let path = folder.write("x.wav", &bytes);
            if let Ok(sound) = read_wav(&path) {
                assert!(resample(&sound, 16_000).is_ok());
            }
        }
    }
}

/// A tone sampled at one rate must become the same tone sampled at the other.
#[test]
fn resampling_keeps_a_tone_in_time() {
    for rate in [8_000, 11_025, 22_050, 44_100, 48_000, 44_101] {
        let sample = |rate: u32, i: usize| (TAU * 1234.0 * i as f64 / f64::from(rate)).sin();
        let length = rate as usize;
        let sound = Sound {
            rate,
            samples: (0..length).map(|i| sample(rate, i) as f32).collect(),
        };
        let found = resample(&sound, 16_000).unwrap();
        assert_eq!(
            (found.rate, found.samples.len()),
            (16_000, 16_000),
            "{rate}"
        );
        // The ends are excluded, because the signal outside is unknown.
        for (i, &value) in found.samples.iter().enumerate().skip(2000).take(12_000) {
            let expected = sample(16_000, i);
            assert!(
                (f64::from(value) - expected).abs() < 1e-3,
                "{rate} {i}: {value} {expected}"
            );
        }
    }
}

#[test]
fn what_the_lower_rate_cannot_hold_is_filtered_out() {
    let samples = (0..44_100).map(|i| (TAU * 10_000.0 * f64::from(i) / 44_100.0).sin() as f32);
    let sound = Sound {
        rate: 44_100,
        samples: samples.collect(),
    };
    let found = resample(&sound, 16_000).unwrap();
    let loudest = found.samples[2000..14_000]
        .iter()
        .fold(0.0, |a: f32, x| a.max(x.abs()));
    assert!(loudest < 1e-3, "{loudest}");
}

#[test]
fn the_same_rate_is_left_alone_and_rate_zero_refused() {
    let sound = Sound {
        rate: 16_000,
        samples: vec![0.1, -0.2],
    };
    assert_eq!(resample(&sound, 16_000).unwrap(), sound);
    let error = resample(&sound, 0).unwrap_err();
    assert!(matches!(
        error,
        AudioError::Resample {
            from: 16_000,
            to: 0,
            ..
        }
    ));
}

fn digits() -> Folder {
    let folder = Folder::new();
    for digit in [0, 3] {
        for index in [0, 4, 5, 12] {
            let length = 2000 + 1000 * index;
            folder.write(
                &format!("recordings/{digit}_de_la_{index}.wav"),
                tone(8000, length),
            );
        }
    }
    folder
}

#[test]
fn digits_are_told_by_their_names() {
    let folder = digits();
    folder.write("recordings/README.md", "not a recording");
    for directory in [folder.path().to_owned(), folder.path().join("recordings")] {
        let split = fsdd(&directory).unwrap();
        let names = |clips: &Clips| -> Vec<(String, u16)> {
            let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
            let clips = clips.clips.iter();
            clips.map(|c| (name(&c.path), c.labels[0])).collect()
        };
        let expect = |list: [(&str, u16); 4]| list.map(|(n, l)| (n.to_owned(), l)).to_vec();
        assert_eq!(
            names(&split.train),
            expect([
                ("0_de_la_5.wav", 0),
                ("0_de_la_12.wav", 0),
                ("3_de_la_5.wav", 3),
                ("3_de_la_12.wav", 3)
            ])
        );
        assert_eq!(
            names(&split.validation),
            expect([
                ("0_de_la_0.wav", 0),
                ("0_de_la_4.wav", 0),
                ("3_de_la_0.wav", 3),
                ("3_de_la_4.wav", 3)
            ])
        );
        assert_eq!(split.train.class_names.len(), 10);
    }
}

#[test]
fn a_digit_is_one_patch_padded_or_cut() {
    let split = fsdd(digits().path()).unwrap();
    assert_eq!(split.train.length, ClipLength::OnePatch);
    let folder = digits();
    let split = fsdd(folder.path()).unwrap();
    let patches = split.train.decode_all(Damaged::Refuse).unwrap();
    assert_eq!(patches.len(), 4);
    assert_eq!(patches.features.len(), 4 * FRAMES * BANDS);
    let by_hand = |clip: usize| {
        let sound = read_wav(&split.train.clips[clip].path).unwrap();
        let mut samples = resample(&sound, 16_000).unwrap().samples;
        samples.resize(PATCH_SAMPLES, 0.0);
        LogMel::new().patches(&samples)
    };
    // At 8 kHz, 7,000 samples are shorter than a patch and 14,000 longer.
    for clip in 0..2 {
        let size = FRAMES * BANDS;
        assert_eq!(
            patches.features[clip * size..(clip + 1) * size],
            by_hand(clip)
        );
    }
    let silence = 0.01f32.ln();
    assert!(
        patches.features[95 * BANDS..FRAMES * BANDS]
            .iter()
            .all(|&x| x == silence)
    );
    assert!(by_hand(1)[95 * BANDS..].iter().any(|&x| x != silence));

    let batch = patches.gather(&[3, 0]);
    let hot: Vec<usize> = (0..20).filter(|&i| batch.targets[i] == 1.0).collect();
    assert_eq!((hot, batch.targets.iter().sum::<f32>()), (vec![3, 10], 2.0));
    assert_eq!(
        batch.features[FRAMES * BANDS..],
        patches.features[..FRAMES * BANDS]
    );
}

#[test]
fn bad_digits_are_named() {
    for name in [
        "10_jo_1.wav",
        "x_jo_1.wav",
        "1_jo.wav",
        "1__1.wav",
        "1_jo_x.wav",
        "jo.wav",
    ] {
        let folder = digits();
        let path = folder.write(&format!("recordings/{name}"), tone(8000, 10));
        let error = named(fsdd(folder.path()), &path);
        assert!(matches!(
            error,
            DataError::Audio(AudioError::RecordingName { .. })
        ));
    }
    let folder = Folder::new();
    assert!(matches!(
        audio_error(fsdd(folder.path())),
        AudioError::NoRecordings { .. }
    ));
    folder.write("1_jo_7.wav", tone(8000, 10));
    let error = audio_error(fsdd(folder.path()));
    assert!(matches!(
        error,
        AudioError::EmptyPart {
            purpose: "validate",
            ..
        }
    ));
    let folder = Folder::new();
    folder.write("1_jo_4.wav", tone(8000, 10));
    let error = audio_error(fsdd(folder.path()));
    assert!(matches!(
        error,
        AudioError::EmptyPart {
            purpose: "train",
            ..
        }
    ));
}

#[test]
fn a_damaged_recording_is_named_and_skipped_when_asked() {
    let folder = digits();
    let path = folder.write("recordings/0_de_la_12.wav", &tone(8000, 100)[..99]);
    let clips = fsdd(folder.path()).unwrap().train;
    named(clips.decode_all(Damaged::Refuse), &path);
    let patches = clips.decode_all(Damaged::Skip).unwrap();
    assert_eq!((patches.len(), patches.skipped.len()), (3, 1));
    assert_eq!(patches.labels, [[0], [3], [3]]);
}

const CLASSES: &str = "index,mid,display_name\n0,/m/09x0r,Speech\n1,/m/05zppz,\"Male speech, man speaking\"\n\
                       2,/t/dd00088,Gargling\n";

/// Two training segments and one validation segment, in the publishers' form.
fn audio_set() -> Folder {
    let folder = Folder::new();
    folder.write("class_labels_indices.csv", CLASSES);
    folder.write(
        "balanced_train_segments.csv",
        "# Segments csv created Sun Mar  5 10:54:31 2017\n\
         # num_ytids=2, num_segs=2\n\
         # YTID, start_seconds, end_seconds, positive_labels\n\
         --PJHxphWEs, 30.000, 40.000, \"/t/dd00088,/m/09x0r\"\n\
         -0RWZT-miFs, 420.000, 430.000, \"/m/05zppz\"\n",
    );
    folder.write(
        "eval_segments.csv",
        "# YTID, start_seconds, end_seconds, positive_labels\nabc_def, 0.000, 10.000, \"/m/09x0r\"\n",
    );
    folder.write(
        "balanced_train_segments/--PJHxphWEs.wav",
        tone(8000, 80_000),
    );
    folder.write("wav/Y-0RWZT-miFs_420000.wav", tone(44_100, 44_100));
    folder.write("abc_def_0.000_10.000.wav", tone(16_000, 4_000));
    folder
}

fn load_audio_set(folder: &Folder, damaged: Damaged) -> Result<AudioSplit, DataError> {
    AudioSetFiles::find(folder.path())?.read(damaged)
}

#[test]
fn the_publishers_lists_are_read() {
    let folder = audio_set();
    let split = load_audio_set(&folder, Damaged::Refuse).unwrap();
    assert_eq!(
        split.train.class_names,
        ["Speech", "Male speech, man speaking", "Gargling"]
    );
    let labels = |clips: &Clips| {
        clips
            .clips
            .iter()
            .map(|c| c.labels.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(labels(&split.train), [vec![0, 2], vec![1]]);
    assert_eq!(labels(&split.validation), [[0]]);
    // 10 s, 1 s, and a quarter of a second padded with zeros.
    let train = split.train.decode_all(Damaged::Refuse).unwrap();
    assert_eq!(train.labels.len(), 11);
    let batch = train.gather(&[9, 10]);
    assert_eq!(batch.targets, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    let validation = split.validation.decode_all(Damaged::Refuse).unwrap();
    assert_eq!(validation.len(), 1);
    assert_eq!(validation.features.last(), Some(&0.01f32.ln()));
}

#[test]
fn a_list_of_files_and_labels_is_read_and_every_tenth_clip_held_out() {
    let folder = Folder::new();
    folder.write("audioset/class_labels_indices.csv", CLASSES);
    let mut list = "file,labels\n".to_owned();
    for index in 0..21 {
        list += &format!("a/{index}.wav,\"/m/09x0r, /t/dd00088,/m/09x0r\"\n");
        folder.write(&format!("audioset/audio/a/{index}.wav"), tone(16_000, 100));
    }
    folder.write("audioset/labels.csv", list);
    let split = load_audio_set(&folder, Damaged::Refuse).unwrap();
    assert_eq!((split.train.len(), split.validation.len()), (19, 2));
    assert!(split.validation.clips[0].path.ends_with("a/9.wav"));
    assert!(split.train.clips.iter().all(|clip| clip.labels == [0, 2]));

    folder.write("audioset/train.csv", "file,labels\na/0.wav,/m/09x0r\n");
    folder.write("audioset/validation.csv", "file,labels\na/1.wav,\n");
    let split = load_audio_set(&folder, Damaged::Refuse).unwrap();
    assert_eq!((split.train.len(), split.validation.len()), (1, 1));
    assert!(split.validation.clips[0].labels.is_empty());
}

#[test]
fn a_clip_without_a_file_is_named_and_skipped_when_asked() {
    let folder = audio_set();
    std::fs::remove_file(folder.path().join("wav/Y-0RWZT-miFs_420000.wav")).unwrap();
    let list = folder.path().join("balanced_train_segments.csv");
    let error = named(load_audio_set(&folder, Damaged::Refuse), &list);
    assert!(
        matches!(&error, DataError::Audio(AudioError::NoClip { line: 5, clip, .. }) if clip == "-0RWZT-miFs"),
        "{error}"
    );
    let split = load_audio_set(&folder, Damaged::Skip).unwrap();
    assert_eq!((split.train.len(), split.skipped.len()), (1, 1));
}

#[test]
fn bad_lists_are_named_by_line() {
    let classes = "class_labels_indices.csv";
    let train = "balanced_train_segments.csv";
    let cases = [
        (
            classes,
            "mid,index,display_name\n",
            1,
            "must be `index,mid,display_name`",
        ),
        (
            classes,
            "index,mid,display_name\n0,a,A\n2,b,B\n",
            3,
            "instead of 1",
        ),
        (
            classes,
            "index,mid,display_name\n0,a,A\n1,a,B\n",
            3,
            "twice",
        ),
        (classes, "index,mid,display_name\n0,a\n", 2, "2 fields"),
        (
            train,
            "name,labels\n",
            1,
            "must start with the columns `file,labels`",
        ),
        (train, "file,labels\na.wav\n", 2, "1 field"),
        (train, "# x\n\nabc, 0.0\n", 3, "expected `YTID"),
        (
            train,
            "# x\nabc, zero, 10.0, \"/m/09x0r\"\n",
            2,
            "expected `YTID",
        ),
        (
            train,
            "# x\nabc, 0.0, 10.0, \"/m/unknown\"\n",
            2,
            "`/m/unknown` is not a class",
        ),
        (
            train,
            "file,labels\na.wav,Speech\n",
            2,
            "`Speech` is not a class",
        ),
    ];
    for (name, content, line, part) in cases {
        let folder = audio_set();
        let path = folder.write(name, content);
        let message = named(load_audio_set(&folder, Damaged::Skip), &path).to_string();
        assert!(message.contains(&format!("line {line}: ")), "{message}");
        assert!(message.contains(part), "{message}");
    }
    for (name, content) in [
        (classes, "index,mid,display_name\n"),
        (train, "# only comments\n"),
        (train, "file,labels\n"),
    ] {
        let folder = audio_set();
        let path = folder.write(name, content);
        let error = named(load_audio_set(&folder, Damaged::Refuse), &path);
        assert!(matches!(error, DataError::Empty { .. }), "{error}");
    }
    let folder = audio_set();
    let path = folder.write(train, b"# \xff\n");
    named(load_audio_set(&folder, Damaged::Refuse), &path);
}

#[test]
fn missing_lists_are_named() {
    for name in [
        "class_labels_indices.csv",
        "balanced_train_segments.csv",
        "eval_segments.csv",
    ] {
        let folder = audio_set();
        std::fs::remove_file(folder.path().join(name)).unwrap();
        let error = load_audio_set(&folder, Damaged::Refuse).unwrap_err();
        assert!(matches!(
            error,
            DataError::Audio(AudioError::MissingList { .. })
        ));
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = digits();
    let clips = fsdd(folder.path()).unwrap().train;
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            clips
                .decode(&[2, 0, 3, 1], Damaged::Refuse)
                .unwrap()
                .features
        })
    };
    assert_eq!(with(1), with(4));
}

#[test]
fn real_spoken_digits() {
    let Some(directory) = real_data("fsdd") else {
        return;
    };
    let split = fsdd(&directory).unwrap();
    assert_eq!((split.train.len(), split.validation.len()), (2700, 300));
    let patches = split.validation.decode_all(Damaged::Refuse).unwrap();
    assert_eq!(patches.len(), 300);
    let mut counts = [0; 10];
    for labels in &patches.labels {
        counts[usize::from(labels[0])] += 1;
    }
    assert_eq!(counts, [30; 10]);
    // Recordings at 8 kHz contain nothing above 4 kHz: the highest bands are mostly silent.
    let band = |band: usize| {
        let values = patches.features.iter().skip(band).step_by(BANDS);
        values.sum::<f32>() / (300 * FRAMES) as f32
    };
    assert!(
        band(60) < -4.5 && band(10) > -3.5,
        "{} {}",
        band(60),
        band(10)
    );
}
