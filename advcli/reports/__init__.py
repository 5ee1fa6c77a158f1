"""What a run leaves on disk besides its pictures: the ledger, its tables and a page to look at."""
