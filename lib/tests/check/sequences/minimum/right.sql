create sequence s start 5 minvalue 5;
