//! A route of one's own takes a form, as a view does: `cargo run --example axum_receive`, then
//! `curl -F id=12 -F picture=@paella.jpg 127.0.0.1:7171/dishes` stores the picture of dish 12 as `uploads/dishes/12.jpg`.
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::{Router, middleware::map_request, routing::post};
use dumbwaiter::{Dumbwaiter, Peer, Refusal, ResponseBody, Service};
use dumbwaiter::{handlers::Sniff, name::OnConflict, store::Disk};

async fn dish(
    State(lift): State<Service>,
    request: Request,
) -> Result<String, http::Response<ResponseBody>> {
    let got = lift.receive(request).await?;
    let Some(id) = got.field("id").and_then(|id| id.parse::<u32>().ok()) else {
        let refusal = Refusal::new("a dish has a number, in the field id");
        return Err(got.refuse(refusal).await.into());
    };
    let picture = got.file("picture")?.on_conflict(OnConflict::Replace);
    let stored = picture.persist(format!("dishes/{id}.jpg")).await?;
    Ok(format!("{} has {} bytes\n", stored.name, stored.length))
}

/// Tells the service who is at the other end: uploads belong to somebody.
async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
    request.extensions_mut().insert(Peer(peer));
    request
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pictures = Sniff::allow(vec!["image/*".parse()?]);
    let lift = Dumbwaiter::new(Disk::open("uploads")?)
        .handler(move || pictures.clone())
        .base("/up")
        .into_service();
    let app = Router::new()
        .route("/dishes", post(dish))
        // The same service shows how far each upload has come: GET /up/get_upload_progress?X-Progress-ID=…
        .nest_service("/up", lift.clone())
        .with_state(lift)
        .layer(map_request(peer));
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:7171");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}
