create text search dictionary d (template = t, stopwords = english);
