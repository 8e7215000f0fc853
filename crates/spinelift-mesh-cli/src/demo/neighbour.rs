//! The other side of the service, played by the demo: a server that has the image, and an
//! application that receives callbacks.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use serde::Deserialize;
use spinelift_mesh::image::ImageFormat;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Serves one image, and hands on the callbacks it receives.
pub(super) struct Neighbour {
    pub(super) address: SocketAddr,
    pub(super) callbacks: UnboundedReceiver<Callback>,
    image_name: String,
}

/// What the demo reads of a callback.
#[derive(Debug, Deserialize)]
pub(super) struct Callback {
    pub(super) job_id: String,
    pub(super) progress: u8,
    pub(super) message: String,
    pub(super) status: Option<String>,
    pub(super) result_url: Option<String>,
    pub(super) error: Option<CallbackError>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CallbackError {
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

impl Neighbour {
    /// Listens on a free port of this machine, as long as the runtime lives.
    pub(super) async fn start(image_name: &str, image: Bytes) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, callbacks) = unbounded_channel();
        let media_type =
            ImageFormat::detect(&image).map_or("application/octet-stream", ImageFormat::media_type);
        let image = move || async move { ([(CONTENT_TYPE, media_type)], image) };
        let router = Router::new()
            .route("/{image}", get(image))
            .route("/callback", post(receive))
            .with_state(sender);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Neighbour {
            address,
            callbacks,
            image_name: image_name.to_owned(),
        })
    }

    pub(super) fn image_url(&self) -> String {
        format!("http://{}/{}", self.address, self.image_name)
    }

    pub(super) fn callback_url(&self) -> String {
        format!("http://{}/callback", self.address)
    }
}

async fn receive(State(sender): State<UnboundedSender<Callback>>, body: Bytes) -> StatusCode {
    match serde_json::from_slice(&body) {
        Ok(callback) => {
            // The demo may have seen all it wants.
            let _ = sender.send(callback);
            StatusCode::NO_CONTENT
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
