use super::*;
use crate::config::{Preset, TaskName, TrainConfig};
use crate::plot::{to_png, to_svg};
use crate::runs::{DataDescription, ModelDescription, RunRecord};

fn run(rows: Vec<MetricsRow>) -> Run {
    let model = ModelDescription {
        name: "logistic regression".to_owned(),
        parameters: 650,
    };
    let data = DataDescription {
        name: "digits".to_owned(),
        train: 1,
        validation: 1,
        shape: vec![1],
        classes: 1,
        checksum: String::new(),
    };
    let config = TrainConfig::defaults(TaskName::Lr, None, Preset::Small);
    let record = RunRecord::start("r", &config, model, data);
    Run { record, rows }
}

fn row(optimizer: &str, seed: u64, epoch: u64, loss: f64) -> MetricsRow {
    MetricsRow {
        optimizer: optimizer.parse().unwrap(),
        seed,
        epoch,
        step: epoch,
        learning_rate: 0.1,
        train_loss: loss,
        valid_loss: loss,
        valid_accuracy: Some(1.0 - loss / 4.0),
        train_seconds: epoch as f64 / 8.0,
        refresh_seconds: 0.0,
        gradients: epoch,
        products: 0,
    }
}

#[test]
fn lines_are_medians_and_bands_ranges_over_seeds() {
    let mut rows = Vec::new();
    for (seed, loss) in [(1, 0.5), (2, 0.25), (3, 1.0)] {
        rows.push(row("hb", seed, 1, loss));
    }
    let curves = Curves::of(&run(rows)).unwrap();
    let line = &curves.panels[0].lines[0];
    assert_eq!(line.points, [(1.0, 0.5)]);
    assert_eq!(line.band, [(1.0, 0.25, 1.0)]);
    assert_eq!(curves.panels[1].lines[0].points, [(0.125, 0.5)]);
    assert_eq!(curves.panels[2].lines[0].points, [(1.0, 0.875)]);
}

#[test]
fn base_and_fosi_share_a_colour_and_differ_in_dashes() {
    let curves = Curves::of(&run(vec![
        row("adam", 1, 1, 0.5),
        row("fosi-adam", 1, 1, 0.4),
    ]))
    .unwrap();
    let [(_, base), (_, fosi)] = curves.legend.as_slice() else {
        panic!("two optimizers")
    };
    assert_eq!(base.color, fosi.color);
    assert!(base.dashed && !fosi.dashed);
}

#[test]
fn a_run_without_epochs_has_no_curves() {
    assert!(Curves::of(&run(Vec::new())).is_none());
}

#[test]
fn svg_and_png_are_drawn_whatever_the_values() {
    let cases = [
        vec![row("hb", 1, 1, 0.5)],
        vec![row("hb", 1, 1, 0.0), row("hb", 1, 2, 0.0)],
        vec![row("hb", 1, 1, 1e300), row("hb", 1, 2, 1e-300)],
        vec![row("gd", 1, 1, -1.0), row("fosi-gd", 1, 1, 1.0)],
    ];
    for rows in cases {
        let curves = Curves::of(&run(rows)).unwrap();
        let svg = to_svg(&curves).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("seconds of training"));
        let png = to_png(&curves, 1).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        assert_eq!(reader.info().size(), SIZE);
    }
}

#[test]
fn a_task_without_accuracy_is_drawn_with_its_validation_loss() {
    let rows = [(1, 0.5), (2, 0.25)].map(|(epoch, loss)| MetricsRow {
        valid_accuracy: None,
        ..row("hb", 1, epoch, loss)
    });
    let curves = Curves::of(&run(rows.to_vec())).unwrap();
    assert_eq!(curves.panels[2].y_label, "validation loss");
    assert_eq!(curves.panels[2].lines[0].points, [(1.0, 0.5), (2.0, 0.25)]);
}

#[test]
fn rivals_have_a_figure_of_their_own() {
    let with_rival = run(vec![
        row("hb", 1, 1, 0.5),
        row("fosi-hb", 1, 1, 0.4),
        row("kfac", 1, 1, 0.3),
    ]);
    let names = |sheet: &crate::plot::Sheet| -> Vec<String> {
        sheet.legend.iter().map(|(name, _)| name.clone()).collect()
    };
    let figures = paper_figures(std::slice::from_ref(&with_rival));
    let of = |wanted: &str| {
        figures
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, sheet)| names(sheet))
    };
    assert_eq!(of("figure5").unwrap(), ["hb", "fosi-hb"]);
    assert_eq!(of("figure6").unwrap(), ["hb", "fosi-hb", "kfac"]);
    assert_eq!(of("figure2"), None);
    let without = paper_figures(&[run(vec![row("hb", 1, 1, 0.5)])]);
    assert!(without.iter().all(|(name, _)| *name != "figure6"));
    let alone = paper_figures(&[run(vec![row("kfac", 1, 1, 0.5)])]);
    assert!(alone.iter().all(|(name, _)| *name != "figure5"));
}
