//! All settings, with one column per run.

use crate::dry_run;
use crate::runs::Run;

/// The settings of a group's runs.
pub(super) struct Settings {
    pub(super) runs: Vec<String>,
    pub(super) rows: Vec<SettingRow>,
}

/// One setting.
pub(super) struct SettingRow {
    pub(super) name: &'static str,
    /// One value per run; a dash if the setting does not apply.
    pub(super) values: Vec<String>,
    /// Whether the runs differ in this setting.
    pub(super) differs: bool,
}

pub(super) fn settings(runs: &[Run]) -> Settings {
    let columns: Vec<Vec<(&'static str, String)>> = runs
        .iter()
        .map(|run| {
            let record = &run.record;
            dry_run::settings(&record.config, &record.model, &record.data)
        })
        .collect();
    let mut names: Vec<&'static str> = Vec::new();
    for (name, _) in columns.iter().flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let row = |name: &'static str| {
        let value = |column: &Vec<(&str, String)>| {
            let own = column.iter().find(|(other, _)| *other == name);
            own.map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        SettingRow {
            name,
            differs: values.iter().any(|value| *value != values[0]),
            values,
        }
    };
    Settings {
        runs: runs.iter().map(|run| run.record.name.clone()).collect(),
        rows: names.into_iter().map(row).collect(),
    }
}
