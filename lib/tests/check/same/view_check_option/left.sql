create view v as select a from t with local check option;
