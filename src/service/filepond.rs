//! What lies at `/filepond`: the one address that FilePond knows.

use http::Method;

use super::Lift;
use crate::error::Error;
use crate::outbound::ResponseBody;
use crate::protocol::Asked;
use crate::protocol::filepond::{self, Wanted};
use crate::receive::Body;
use crate::rights::Act;
use http::Response;

/// What stands behind `/filepond/`, which may be nothing; `None` where another place is meant.
pub(super) fn name(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/filepond")?;
    match rest {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

/// For what the rules are asked. What goes on with an upload is asked as what begins one.
pub(super) fn act(asked: &Asked) -> Option<Act> {
    match (&asked.head.method, Wanted::of(asked)) {
        (&Method::HEAD, Wanted::Upload(_)) => Some(Act::Upload),
        (&(Method::GET | Method::HEAD), _) => Some(Act::Read),
        (&(Method::POST | Method::PATCH), _) => Some(Act::Upload),
        (&Method::DELETE, _) => Some(Act::Remove),
        _ => None,
    }
}

impl Lift {
    pub(super) async fn filepond(
        &self,
        name: &str,
        asked: &mut Asked,
        body: Body,
    ) -> Response<ResponseBody> {
        let asks = async {
            match act(asked) {
                Some(act) => self.ask(act, asked).await,
                None => Ok(()),
            }
        };
        match asks.await {
            Ok(()) => filepond::answer(&self.inbound, self.part_limits, name, asked, body)
                .await
                .map(Into::into),
            Err(error) => refuse(&error),
        }
    }
}

fn refuse(error: &Error) -> Response<ResponseBody> {
    filepond::refused(error).map(Into::into)
}
