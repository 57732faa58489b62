create sequence s start 5;
