//! The process's metrics, in Prometheus' text format.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const SECONDS: [f64; 12] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0,
];

pub(crate) const REQUESTS: &str = "mainstay_http_requests_total";
/// By whether a rule fitted them.
pub(crate) const DESCRIPTORS: &str = "mainstay_envoy_descriptors_total";
pub(crate) const DURATION: &str = "mainstay_http_request_duration_seconds";

/// The recorder of this process, installed at the first call.
///
/// When the program has installed one of its own, metrics go there and this one stays empty.
pub(crate) fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("invariant: there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed: /metrics stays empty");
        }
        metrics::describe_counter!(REQUESTS, "Requests answered, by route and status");
        metrics::describe_counter!(
            DESCRIPTORS,
            "Descriptors that Envoy asked about, by whether a rule fitted"
        );
        metrics::describe_histogram!(DURATION, "Time until the answer began, by route and status");
        handle
    })
}
