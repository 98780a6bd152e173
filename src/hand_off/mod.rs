//! The finished upload goes to the app: as the form that came, as a form that names the stored files, or told by a request of our own.

mod forged;
mod form;
mod redirect;
mod reference;
mod replay;
mod told;
mod working;

pub(crate) use form::{FormOptions, Forms, Give};
pub(crate) use reference::Reference;
pub(crate) use told::{TellOptions, Teller, Tools};
pub(crate) use working::{Report, Word, Working, WorkingOptions};
