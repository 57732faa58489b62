create text search dictionary d (template = snowball, language = german, stopwords = english);
alter text search dictionary d (language = english);
