alter event trigger e disable;
