create sequence s increment -1 minvalue -100;
