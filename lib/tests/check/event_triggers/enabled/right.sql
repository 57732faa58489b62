alter event trigger e enable always;
