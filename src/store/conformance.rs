//! What every [`Store`] must do, ours or yours, as plain functions that panic when it does not.
//!
//! ```
//! # fn block_on<F: Future>(f: F) -> F::Output {
//! #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f)
//! # }
//! use dumbwaiter::store::{Memory, conformance};
//!
//! block_on(conformance::all(&Memory::new()));
//! ```
//!
//! Each function makes uploads of its own in a folder of its own, so they may run in any order, at once, and again.
//! [`all`] runs them all. What only a restart shows (what is durable, what is cleared) is the store's own to test.

use super::Store;

pub use self::bytes::{
    a_discarded_file_leaves_its_place_to_the_next, a_file_may_be_empty,
    a_session_reads_its_files_back_by_number, an_upload_may_have_no_files,
    frames_of_any_size_lie_end_to_end, one_file_comes_back_as_it_was_written,
    several_files_come_back_in_order,
};
pub use self::ends::{
    a_commit_needs_an_entry_for_each_file, a_commit_survives_its_caller, an_unknown_id_has_nothing,
    what_is_finished_is_listed, what_is_not_committed_is_nowhere,
};
pub use self::hand_offs::{
    nothing_is_due_of_what_is_not_stored, what_is_due_is_known_from_the_commit_on,
    what_is_due_outlives_the_files, what_is_removed_is_due_no_more,
};
pub use self::keep::{
    a_file_kept_by_itself_is_there_and_the_others_go, a_kept_file_follows_the_rule_for_taken_names,
    a_kept_file_survives_its_caller, a_refused_file_can_be_kept_under_another_name,
    a_removed_upload_keeps_nothing_more, an_upload_kept_in_part_cannot_be_committed,
    kept_files_are_remembered_in_the_order_of_keeping,
};
pub use self::names::{
    reject_is_all_or_none, rename_finds_a_free_name, replace_takes_the_place_of_the_old_file,
    two_files_of_one_upload_never_share_a_name, uploads_at_once_never_share_a_name,
};
pub use self::remove::{
    a_removed_upload_is_nowhere_and_its_names_are_free, removing_leaves_what_took_the_place,
    what_is_not_finished_cannot_be_removed,
};
pub use self::resume::{
    a_discarded_file_of_a_checkpoint_comes_back, a_taken_session_goes_on_from_its_checkpoint,
    an_ended_upload_cannot_be_taken, an_older_session_is_superseded, the_last_checkpoint_counts,
    what_is_written_is_read_back,
};
pub use self::unfinished::{
    a_checkpoint_may_come_before_the_first_byte,
    a_new_session_never_takes_the_place_of_a_checkpoint,
    a_take_that_comes_to_nothing_changes_nothing,
    an_unfinished_upload_is_read_up_to_its_checkpoint,
    an_unfinished_upload_is_told_as_of_its_last_checkpoint,
    uploads_taken_in_turns_keep_every_checkpoint, what_is_settled_last_is_what_is_remembered,
    what_is_unfinished_is_listed, what_was_settled_is_told_of_a_finished_upload,
};

mod bytes;
mod case;
mod ends;
mod hand_offs;
mod keep;
mod names;
mod remove;
mod resume;
mod unfinished;

/// Runs the whole suite.
///
/// # Panics
/// When the store breaks one of its promises.
pub async fn all(store: &dyn Store) {
    one_file_comes_back_as_it_was_written(store).await;
    several_files_come_back_in_order(store).await;
    frames_of_any_size_lie_end_to_end(store).await;
    a_file_may_be_empty(store).await;
    an_upload_may_have_no_files(store).await;
    a_discarded_file_leaves_its_place_to_the_next(store).await;
    a_session_reads_its_files_back_by_number(store).await;
    what_is_not_committed_is_nowhere(store).await;
    an_unknown_id_has_nothing(store).await;
    a_taken_session_goes_on_from_its_checkpoint(store).await;
    an_older_session_is_superseded(store).await;
    the_last_checkpoint_counts(store).await;
    a_discarded_file_of_a_checkpoint_comes_back(store).await;
    what_is_written_is_read_back(store).await;
    an_ended_upload_cannot_be_taken(store).await;
    a_checkpoint_may_come_before_the_first_byte(store).await;
    a_take_that_comes_to_nothing_changes_nothing(store).await;
    a_new_session_never_takes_the_place_of_a_checkpoint(store).await;
    uploads_taken_in_turns_keep_every_checkpoint(store).await;
    an_unfinished_upload_is_told_as_of_its_last_checkpoint(store).await;
    an_unfinished_upload_is_read_up_to_its_checkpoint(store).await;
    what_is_unfinished_is_listed(store).await;
    what_was_settled_is_told_of_a_finished_upload(store).await;
    what_is_settled_last_is_what_is_remembered(store).await;
    rename_finds_a_free_name(store).await;
    replace_takes_the_place_of_the_old_file(store).await;
    reject_is_all_or_none(store).await;
    two_files_of_one_upload_never_share_a_name(store).await;
    uploads_at_once_never_share_a_name(store).await;
    a_commit_needs_an_entry_for_each_file(store).await;
    a_commit_survives_its_caller(store).await;
    a_file_kept_by_itself_is_there_and_the_others_go(store).await;
    kept_files_are_remembered_in_the_order_of_keeping(store).await;
    a_kept_file_follows_the_rule_for_taken_names(store).await;
    a_refused_file_can_be_kept_under_another_name(store).await;
    an_upload_kept_in_part_cannot_be_committed(store).await;
    a_kept_file_survives_its_caller(store).await;
    a_removed_upload_keeps_nothing_more(store).await;
    a_removed_upload_is_nowhere_and_its_names_are_free(store).await;
    removing_leaves_what_took_the_place(store).await;
    what_is_not_finished_cannot_be_removed(store).await;
    what_is_finished_is_listed(store).await;
    what_is_due_is_known_from_the_commit_on(store).await;
    nothing_is_due_of_what_is_not_stored(store).await;
    what_is_removed_is_due_no_more(store).await;
    what_is_due_outlives_the_files(store).await;
}
