//! Schemas that are made of the library's tables, or that several requests share.

use crate::job::JobId;
use crate::request::MAX_BATCH_ID;
use serde_json::{Value, json};
use spinelift_mesh::parameters::{
    OPTION_GROUPS, OPTIONS, OptionKind, OptionSpec, PARAMETERS, PRESETS, ParameterKind,
    ParameterSpec,
};
use std::borrow::Cow;
use utoipa::openapi::schema::{
    KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// Makes a type that stands for a schema made by a function.
macro_rules! schema {
    ($type:ident, $name:literal, $make:expr) => {
        pub(in crate::api) struct $type;

        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                Schema::Object($make).into()
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    };
}

schema!(Id, "JobId", id("hero-1", JobId::MAX_LENGTH));
schema!(BatchId, "BatchId", id("sprites", MAX_BATCH_ID));
schema!(EventMessage, "EventMessage", event());
schema!(ImageUrl, "ImageUrl", image_url());
schema!(WebUrl, "WebUrl", url());
schema!(PresetName, "PresetName", preset_name());
schema!(Parameters, "Parameters", parameters(false));
schema!(
    NormalizedParameters,
    "NormalizedParameters",
    parameters(true)
);

/// One thing that is wrong with a request.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what is made as JSON")]
pub(in crate::api) struct FieldError {
    /// Where it is.
    #[schema(example = "parameters.detail_factor")]
    field: String,
    /// What was sent, cut short and without secrets.
    value: Value,
    /// What is wrong with it.
    #[schema(example = "detail_factor must be a number from 0.001 to 0.05, not 7")]
    message: String,
    /// Least value allowed, of numbers.
    #[schema(nullable = false)]
    minimum: Option<f64>,
    /// Largest value allowed, of numbers.
    #[schema(nullable = false)]
    maximum: Option<f64>,
    /// The words that are allowed, where it must be one of some.
    #[schema(nullable = false, example = json!(["reference", "cover"]))]
    allowed: Option<Vec<String>>,
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String))
}

/// Neither `.` nor `..`, which mean something else in paths.
fn id(example: &str, longest: usize) -> Object {
    text()
        .description(Some("The name of a job or batch; not `.` and not `..`."))
        .min_length(Some(1))
        .max_length(Some(longest))
        .pattern(Some(
            r"^(\.{0,2}[A-Za-z0-9_~:-][A-Za-z0-9._~:-]*|\.{3}[A-Za-z0-9._~:-]*)$",
        ))
        .examples([example])
        .build()
}

fn event() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Object))
        .description(Some("One server-sent event, by its fields."))
        .property(
            "event",
            text()
                .description(Some("`progress` for each step, `end` for the last event."))
                .enum_values(Some(["progress", "end"])),
        )
        .property(
            "id",
            text()
                .description(Some("What to send as `Last-Event-ID`."))
                .examples(["1.70"]),
        )
        .property(
            "data",
            text()
                .description(Some(
                    "JSON. Of `progress`: `job_id`, `progress`, `message`, and of a batch \
                     `counts`. Of `end`: the status.",
                ))
                .content_media_type("application/json")
                .examples([
                    r#"{"job_id":"hero-1","progress":70,"message":"Triangulating mesh..."}"#,
                ]),
        )
        .required("event")
        .required("id")
        .required("data")
        .build()
}

fn url() -> Object {
    text()
        .description(Some(
            "An http or https URL. Hosts with addresses that are not public are refused unless \
             `ALLOWED_PRIVATE_HOSTS` names them.",
        ))
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .max_length(Some(2048))
        .pattern(Some("^[Hh][Tt][Tt][Pp][Ss]?:"))
        .examples(["https://example.com/hero.png"])
        .build()
}

fn image_url() -> Object {
    text()
        .description(Some(
            "An http or https URL, or `s3://bucket/key` where `ALLOWED_S3_BUCKETS` names the \
             bucket. Hosts with addresses that are not public are refused unless \
             `ALLOWED_PRIVATE_HOSTS` names them.",
        ))
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .max_length(Some(2048))
        .pattern(Some("^([Hh][Tt][Tt][Pp][Ss]?|[Ss]3):"))
        .examples(["https://example.com/hero.png"])
        .build()
}

fn preset_name() -> Object {
    text()
        .description(Some("A set of parameters to begin with."))
        .enum_values(Some(PRESETS.iter().map(|preset| preset.name)))
        .build()
}

fn parameters(all: bool) -> Object {
    let description = match all {
        true => {
            "All nine parameters as they are used, and the optional ones where they are not all \
             defaults."
        }
        false => {
            "The parameters of a mesh. What is absent has the preset's value, or the default. \
             Others are ignored, and named in `warnings`."
        }
    };
    let object = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Object))
        .description(Some(description));
    let object = PARAMETERS.iter().fold(object, |object, spec| {
        let object = object.property(spec.name, parameter(spec));
        if all {
            object.required(spec.name)
        } else {
            object
        }
    });
    let object = OPTION_GROUPS
        .iter()
        .fold(object, |object, name| object.property(*name, group(name)));
    let singles = OPTIONS.iter().filter(|spec| spec.path() == spec.name);
    let object = singles.fold(object, |object, spec| {
        object.property(spec.name, option(spec))
    });
    object.build()
}

/// Optional parameters that are an object.
fn group(name: &str) -> Object {
    let object = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::Object))
        .description(Some(match name {
            "outline" => "How the outline is made. All but `mode` count with `cover` alone.",
            _ => "What is put inside; nothing, if this is absent.",
        }));
    let own = OPTIONS.iter().filter(|spec| spec.group == name);
    let object = own.fold(object, |object, spec| {
        object.property(spec.name, option(spec))
    });
    object.build()
}

/// An optional parameter; `null` stands for its default.
fn option(spec: &OptionSpec) -> Object {
    let description = format!("{}. Default: {}.", spec.description, spec.default);
    let object = ObjectBuilder::new().description(Some(description));
    let or_null = |kind| SchemaType::Array(vec![kind, Type::Null]);
    match spec.kind {
        OptionKind::Choice(words) => object
            .schema_type(or_null(Type::String))
            .enum_values(Some(
                words.iter().map(|word| json!(word)).chain([Value::Null]),
            ))
            .default(Some(json!(spec.default)))
            .examples([json!(spec.default)]),
        OptionKind::Integer { minimum, maximum } => object
            .schema_type(or_null(Type::Integer))
            .minimum(Some(minimum))
            .maximum(Some(maximum))
            .examples([json!(example(spec) as i64)]),
        OptionKind::Number { minimum, maximum } => object
            .schema_type(or_null(Type::Number))
            .minimum(Some(minimum))
            .maximum(Some(maximum))
            .examples([json!(example(spec))]),
    }
    .build()
}

fn example(spec: &OptionSpec) -> f64 {
    match spec.name {
        "max_vertices" => 12.0,
        "max_overdraw" => 1.1,
        "padding" => 0.5,
        "vertices" => 60.0,
        "spacing" => 24.0,
        "min_angle" => 20.0,
        _ => 50.0,
    }
}

fn parameter(spec: &ParameterSpec) -> Object {
    let (kind, default) = match spec.kind {
        ParameterKind::Integer => (Type::Integer, json!(spec.default as i64)),
        ParameterKind::Number => (Type::Number, json!(spec.default)),
    };
    ObjectBuilder::new()
        .schema_type(SchemaType::new(kind))
        .description(Some(spec.description))
        .minimum(Some(spec.minimum))
        .maximum(Some(spec.maximum))
        .default(Some(default.clone()))
        .examples([default])
        .build()
}

/// The form of an upload.
pub(in crate::api) struct UploadRequest;

impl PartialSchema for UploadRequest {
    fn schema() -> RefOr<Schema> {
        let file = text()
            .description(Some(
                "The image: a PNG, WebP or JPEG of at most MAX_IMAGE_BYTES.",
            ))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
        let form = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Object))
            .description(Some(
                "An image and what is to be done with it. Empty parts count as absent; other \
                 parts are ignored, and named in `warnings`.",
            ))
            .property("file", file)
            .required("file")
            // An object in a form is a part of JSON.
            .property("parameters", reference::<Parameters>())
            .property("preset", reference::<PresetName>())
            .property("callback_url", reference::<WebUrl>())
            .property("job_id", reference::<Id>());
        // Each may also be a part of its own, which lies over `parameters`.
        let form = PARAMETERS
            .iter()
            .fold(form, |form, spec| form.property(spec.name, parameter(spec)));
        let form = OPTION_GROUPS
            .iter()
            .fold(form, |form, name| form.property(*name, group(name)));
        let form = OPTIONS
            .iter()
            .fold(form, |form, spec| form.property(spec.path(), option(spec)));
        Schema::Object(form.build()).into()
    }
}

impl ToSchema for UploadRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend([
            (Parameters::name().into_owned(), Parameters::schema()),
            (PresetName::name().into_owned(), PresetName::schema()),
            (WebUrl::name().into_owned(), WebUrl::schema()),
            (Id::name().into_owned(), Id::schema()),
        ]);
    }
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}
