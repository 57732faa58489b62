comment on event trigger e is 'why';
