//! The mesh parameters as flags, made from the library's table, and as a file.

use crate::failure::{Failure, Problem};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};
use serde_json::{Map, Value};
use spinelift_mesh::parameters::{PARAMETERS, PRESETS, ParameterKind, Preset};
use spinelift_mesh::{MeshParameters, Warning};
use std::fs;
use std::path::{Path, PathBuf};

const HEADING: &str = "Mesh parameters";

/// What was given on the command line; [`read`](Self::read) makes parameters of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ParameterArgs {
    preset: Option<&'static Preset>,
    file: Option<PathBuf>,
    given: Map<String, Value>,
}

impl Args for ParameterArgs {
    fn augment_args(command: Command) -> Command {
        let flags = PARAMETERS.map(|spec| {
            Arg::new(spec.name)
                .long(spec.name.replace('_', "-"))
                // As it is spelt in JSON.
                .alias(spec.name)
                .value_name(match spec.kind {
                    ParameterKind::Integer => "INTEGER",
                    ParameterKind::Number => "NUMBER",
                })
                .value_parser(move |text: &str| spec.parse(text))
                .allow_negative_numbers(true)
                .help_heading(HEADING)
                .help(format!(
                    "{} [default: {}] [range: {} to {}]",
                    spec.description, spec.default, spec.minimum, spec.maximum
                ))
        });
        let file = Arg::new("params")
            .long("params")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help_heading(HEADING)
            .help("JSON file with parameters by name; flags override it");
        command.arg(preset()).args(flags).arg(file)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ParameterArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut args = ParameterArgs::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.preset = matches
            .get_one::<String>("preset")
            .and_then(|name| Preset::by_name(name));
        self.file = matches.get_one("params").cloned();
        for spec in &PARAMETERS {
            if let Some(value) = matches.get_one::<Value>(spec.name) {
                self.given.insert(spec.name.to_owned(), value.clone());
            }
        }
        Ok(())
    }
}

impl ParameterArgs {
    /// The parameters, and a warning for each unknown one in the file.
    pub(crate) fn read(self) -> Result<(MeshParameters, Vec<Warning>), Failure> {
        let mut parameters = match &self.file {
            Some(path) => read_file(path)?,
            None => Map::new(),
        };
        parameters.extend(self.given);
        let base = self
            .preset
            .map_or(MeshParameters::DEFAULT, |preset| preset.parameters);
        MeshParameters::from_json_over(&Value::Object(parameters), base).map_err(|errors| {
            // Flags have been checked already, so the file is to blame.
            let path = self.file.unwrap_or_default();
            Failure::Usage(format!("{}: {errors}", path.display()))
        })
    }
}

/// The flag that names a preset; a wrong name is answered with those that exist.
fn preset() -> Arg {
    let names = PRESETS.iter().map(|preset| {
        PossibleValue::new(preset.name)
            .alias(preset.name.replace('_', "-"))
            .help(format!("{}. {}", preset.title, preset.description))
    });
    // An alias is accepted as it was typed; the table knows the name alone.
    let names = PossibleValuesParser::new(names).map(|name| name.replace('-', "_"));
    Arg::new("preset")
        .long("preset")
        .value_name("NAME")
        .value_parser(names)
        .help_heading(HEADING)
        .help("Begin with a named set of parameters; --params and flags override it")
}

fn read_file(path: &Path) -> Result<Map<String, Value>, Failure> {
    let bytes = fs::read(path).map_err(|error| Problem::reading(path, &error))?;
    // Some editors on Windows begin a file with a byte order mark.
    let json = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match serde_json::from_slice(json) {
        Ok(Value::Object(parameters)) => Ok(parameters),
        Ok(_) => Err(Failure::Usage(format!(
            "{} must hold a JSON object such as {{\"{}\": {}}}",
            path.display(),
            PARAMETERS[0].name,
            PARAMETERS[0].default,
        ))),
        Err(error) => Err(Failure::Usage(format!(
            "{} is not JSON: {error}",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn parse(args: &[&str]) -> Result<ParameterArgs, clap::Error> {
        let command = ParameterArgs::augment_args(Command::new("test").no_binary_name(true));
        ParameterArgs::from_arg_matches(&command.try_get_matches_from(args)?)
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn without_flags_there_are_the_defaults() {
        let (parameters, warnings) = parse(&[]).expect("valid").read().expect("valid");
        assert_eq!(parameters, MeshParameters::default());
        assert!(warnings.is_empty());
    }

    #[test]
    fn every_parameter_has_its_flag() {
        for spec in PARAMETERS {
            let flag = format!("--{}", spec.name.replace('_', "-"));
            for value in [spec.minimum, spec.maximum] {
                let args = parse(&[&flag, &value.to_string()]).expect("at the end of its range");
                assert_eq!(args.given[spec.name].as_f64(), Some(value));
            }
            for value in [spec.minimum - 1.0, spec.maximum + 1.0] {
                let error = parse(&[&flag, &value.to_string()]).expect_err("out of its range");
                let text = error.to_string();
                for part in [&flag, &value.to_string(), &spec.maximum.to_string()] {
                    assert!(text.contains(part), "{part} is missing in: {text}");
                }
                assert_eq!(error.exit_code(), 2);
            }
        }
    }

    #[test]
    fn flags_override_the_file() {
        let file = file("\u{feff}{\"detail_factor\": 7, \"alpha_threshold\": 3, \"edge\": 1}");
        let path = file.path().to_str().expect("UTF-8");
        let args = parse(&["--params", path, "--detail-factor", "0.02"]).expect("valid");
        let (parameters, warnings) = args.read().expect("the wrong value is overridden");
        assert_eq!(parameters.detail_factor, 0.02);
        assert_eq!(parameters.alpha_threshold, 3);
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn flags_and_the_file_override_the_preset() {
        let file = file("{\"detail_factor\": 0.02, \"alpha_threshold\": 3}");
        let path = file.path().to_str().expect("UTF-8");
        for preset in PRESETS {
            let read = |rest: &[&str]| {
                let args = [&["--preset", preset.name], rest].concat();
                parse(&args).expect("valid").read().expect("valid").0
            };
            assert_eq!(read(&[]), preset.parameters);
            let overridden = MeshParameters {
                detail_factor: 0.04,
                alpha_threshold: 3,
                ..preset.parameters
            };
            let given = ["--detail-factor", "0.04", "--params", path];
            assert_eq!(read(&given), overridden);
            // In the spelling of flags.
            let spelt = preset.name.replace('_', "-");
            let args = parse(&["--preset", &spelt]).expect("valid");
            assert_eq!(args.preset, Some(preset));
        }
    }

    #[test]
    fn an_unknown_preset_is_answered_with_those_that_exist() {
        let error = parse(&["--preset", "best"]).expect_err("there is none");
        assert_eq!(error.exit_code(), 2);
        for name in PRESETS.iter().map(|preset| preset.name) {
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_wrong_file_is_wrong_usage() {
        for (text, said) in [
            ("{\"detail_factor\": 7}", "from 0.001 to 0.05, not 7"),
            ("[1]", "must hold a JSON object"),
            ("detail_factor = 1", "is not JSON"),
        ] {
            let file = file(text);
            let path = file.path().to_str().expect("UTF-8");
            match parse(&["--params", path]).expect("valid").read() {
                Err(Failure::Usage(message)) => {
                    assert!(
                        message.contains(said) && message.contains(path),
                        "{message}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
