create sequence s cycle;
