create view v with (check_option = local) as select a from t;
