//! The mesh parameters as flags, made from the library's table, and as a file.

use crate::failure::{Failure, Problem};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, value_parser};
use serde_json::{Map, Value};
use spinelift_mesh::parameters::{
    OPTION_GROUPS, OPTIONS, OptionKind, OptionSpec, PARAMETERS, PRESETS, ParameterKind, Preset,
};
use spinelift_mesh::{MeshParameters, Warning};
use std::fs;
use std::path::{Path, PathBuf};

const HEADING: &str = "Mesh parameters";
const OPTIONS_HEADING: &str = "Outlines that lose no pixel, and interiors";

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
        let options = OPTIONS.map(|spec| option(&spec));
        command.arg(preset()).args(flags).arg(file).args(options)
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
        for spec in &OPTIONS {
            if let Some(value) = matches.get_one::<Value>(spec.flag) {
                spec.put(value.clone(), &mut self.given);
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
        lay_over(&mut parameters, self.given);
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

/// Flags over a file; of an object in it, what no flag names stays.
fn lay_over(parameters: &mut Map<String, Value>, given: Map<String, Value>) {
    for (name, value) in given {
        match (parameters.get_mut(&name), value) {
            (Some(Value::Object(group)), Value::Object(given)) => group.extend(given),
            // What is no group is told of as it stands in the file.
            (Some(other), Value::Object(_))
                if OPTION_GROUPS.contains(&name.as_str()) && !other.is_null() => {}
            (_, value) => {
                parameters.insert(name, value);
            }
        }
    }
}

/// The flag of an optional parameter.
fn option(spec: &OptionSpec) -> Arg {
    let spec = *spec;
    let arg = Arg::new(spec.flag)
        .long(spec.flag)
        .allow_negative_numbers(true)
        .help_heading(OPTIONS_HEADING);
    let help = |range: String| {
        format!(
            "{} [default: {}]{range}",
            spec.description.replace("max_overdraw", "--max-overdraw"),
            spec.default.replace("max_overdraw", "--max-overdraw"),
        )
    };
    match spec.kind {
        OptionKind::Choice(words) => arg
            .value_name("WORD")
            .value_parser(PossibleValuesParser::new(words).map(Value::from))
            .help(help(String::new())),
        OptionKind::Integer { minimum, maximum } if spec.name == DEADLINE => arg
            .value_name("TIME")
            .value_parser(move |text: &str| deadline(&spec, text))
            .help(help(format!(
                " [range: {minimum}ms to {}s]",
                maximum / 1000.0
            ))),
        OptionKind::Integer { minimum, maximum } => arg
            .value_name("INTEGER")
            .value_parser(move |text: &str| spec.parse(text))
            .help(help(format!(" [range: {minimum} to {maximum}]"))),
        OptionKind::Number { minimum, maximum } => arg
            .value_name("NUMBER")
            .value_parser(move |text: &str| spec.parse(text))
            .help(help(format!(" [range: {minimum} to {maximum}]"))),
    }
}

/// On the command line a time has its unit.
const DEADLINE: &str = "deadline_ms";

/// `50ms`, `1.5s`.
fn deadline(spec: &OptionSpec, text: &str) -> Result<Value, String> {
    let milliseconds = match text.strip_suffix("ms") {
        Some(number) => number.parse::<f64>().ok(),
        None => text
            .strip_suffix('s')
            .and_then(|number| number.parse::<f64>().ok())
            .map(|seconds| seconds * 1000.0),
    };
    let milliseconds = milliseconds.ok_or("must be a time such as 50ms or 1.5s")?;
    spec.parse(&milliseconds.round().to_string())
        .map_err(|error| error.to_string())
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
    use spinelift_mesh::parameters::{IslandMode, OutlineMode};
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
    fn every_option_has_its_flag() {
        for spec in &OPTIONS {
            let flag = format!("--{}", spec.flag);
            let (good, bad) = match spec.kind {
                OptionKind::Choice(words) => (words[1].to_owned(), "best".to_owned()),
                OptionKind::Integer { maximum, .. } if spec.name == DEADLINE => (
                    format!("{}s", maximum / 1000.0),
                    format!("{}ms", maximum + 1.0),
                ),
                OptionKind::Integer { minimum, maximum }
                | OptionKind::Number { minimum, maximum } => {
                    (maximum.to_string(), (minimum - 1.0).to_string())
                }
            };
            let (parameters, _) = parse(&[&flag, &good])
                .expect("allowed")
                .read()
                .expect("valid");
            assert_ne!(parameters, MeshParameters::DEFAULT, "{flag}");
            let error = parse(&[&flag, &bad]).expect_err("not allowed");
            assert!(error.to_string().contains(&flag), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn a_deadline_has_its_unit() {
        for (text, milliseconds) in [("50ms", 50), ("1.5s", 1500), ("0ms", 0)] {
            let args = parse(&["--deadline", text]).expect("a time");
            let (parameters, _) = args.read().expect("valid");
            assert_eq!(parameters.deadline_ms, Some(milliseconds), "{text}");
        }
        for bad in ["50", "ms", "1h", "NaNs", "601s"] {
            let error = parse(&["--deadline", bad]).expect_err("no time in the range");
            assert!(error.to_string().contains("--deadline"), "{error}");
        }
    }

    #[test]
    fn flags_lie_over_the_groups_of_a_file_and_a_preset() {
        let file = file("{\"outline\": {\"padding\": 2, \"max_vertices\": 9}}");
        let path = file.path().to_str().expect("UTF-8");
        let args = ["--preset", "full-coverage", "--params", path];
        let args = [&args[..], &["--max-vertices", "8", "--islands", "separate"]].concat();
        let (parameters, warnings) = parse(&args).expect("valid").read().expect("valid");
        assert!(warnings.is_empty(), "{warnings:?}");
        let outline = parameters.outline;
        assert_eq!((outline.max_vertices, outline.padding), (Some(8), 2.0));
        assert_eq!(outline.islands, IslandMode::Separate);
        assert_eq!(outline.mode, OutlineMode::Cover);

        let args = parse(&["--max-vertices", "8"]).expect("valid");
        let (_, warnings) = args.read().expect("valid");
        assert_eq!(warnings.len(), 1, "it has no effect without cover");
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
            ("{\"outline\": 7}", "outline must be an object"),
            (
                "{\"outline\": {\"padding\": 99}}",
                "outline.padding must be a number from 0 to 32, not 99",
            ),
            ("[1]", "must hold a JSON object"),
            ("detail_factor = 1", "is not JSON"),
        ] {
            let file = file(text);
            let path = file.path().to_str().expect("UTF-8");
            let args = ["--params", path, "--islands", "largest"];
            match parse(&args).expect("valid").read() {
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
