//! What is signed with the key that the app shares: statements, tickets, words by which the app reports.
