"""Where recordings come from: archives found or fetched, verified, and read member by member."""
