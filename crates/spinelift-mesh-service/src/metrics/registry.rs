//! The recorder of one service, and series of metrics whose labels have few values.

use super::table::{Kind, METRICS, MetricSpec};
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// Registers series. Each service has its own: a global recorder would add up several.
pub(super) struct Registry(PrometheusRecorder);

/// Says only where a metric comes from, which this recorder does not ask.
const METADATA: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, None);

impl Registry {
    pub(super) fn new() -> Self {
        let mut builder = PrometheusBuilder::new();
        for spec in METRICS {
            if spec.kind.buckets().is_empty() {
                continue;
            }
            let name = Matcher::Full(spec.name.to_owned());
            builder = builder
                .set_buckets_for_metric(name, spec.kind.buckets())
                .unwrap_or_else(|_| unreachable!("a histogram has buckets"));
        }
        let recorder = builder.build_recorder();
        for spec in METRICS {
            let (name, meaning) = (spec.name.into(), spec.meaning.into());
            match spec.kind {
                Kind::Counter => recorder.describe_counter(name, None, meaning),
                Kind::Gauge => recorder.describe_gauge(name, None, meaning),
                Kind::Seconds | Kind::Bytes => recorder.describe_histogram(name, None, meaning),
            }
        }
        Self(recorder)
    }

    pub(super) fn handle(&self) -> PrometheusHandle {
        self.0.handle()
    }

    pub(super) fn counter(&self, spec: MetricSpec, values: &[&str]) -> Counter {
        self.0.register_counter(&key(spec, values), &METADATA)
    }

    pub(super) fn gauge(&self, spec: MetricSpec, values: &[&str]) -> Gauge {
        self.0.register_gauge(&key(spec, values), &METADATA)
    }

    pub(super) fn histogram(&self, spec: MetricSpec, values: &[&str]) -> Histogram {
        self.0.register_histogram(&key(spec, values), &METADATA)
    }

    /// Counters for these values of the only label, and for all others together.
    pub(super) fn counters(
        &self,
        spec: MetricSpec,
        known: &'static [&'static str],
    ) -> Series<Counter> {
        Series::new(known, |value| self.counter(spec, &[value]))
    }

    /// Histograms for these values of the only label.
    pub(super) fn histograms(
        &self,
        spec: MetricSpec,
        known: &'static [&'static str],
    ) -> Series<Histogram> {
        Series::new(known, |value| self.histogram(spec, &[value]))
    }
}

fn key(spec: MetricSpec, values: &[&str]) -> Key {
    debug_assert_eq!(spec.labels.len(), values.len(), "{}", spec.name);
    let labels = spec.labels.iter().zip(values);
    let labels: Vec<_> = labels
        .map(|(name, value)| Label::new(*name, (*value).to_owned()))
        .collect();
    Key::from_parts(spec.name, labels)
}

/// One metric for each of a few values of a label. What is none of them has one metric together,
/// so whatever comes in from outside cannot make more.
#[derive(Clone)]
pub(crate) struct Series<M> {
    known: Vec<(&'static str, M)>,
    other: M,
}

impl<M> Series<M> {
    fn new(known: &'static [&'static str], make: impl Fn(&str) -> M) -> Self {
        Self {
            known: known.iter().map(|value| (*value, make(value))).collect(),
            other: make("other"),
        }
    }

    pub(crate) fn of(&self, value: &str) -> &M {
        let mut known = self.known.iter();
        let found = known.find(|(name, _)| *name == value);
        found.map_or(&self.other, |(_, metric)| metric)
    }
}
