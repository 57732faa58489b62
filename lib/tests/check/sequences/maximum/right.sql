create sequence s maxvalue 100;
