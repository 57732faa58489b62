alter text search dictionary d (stopwords);
