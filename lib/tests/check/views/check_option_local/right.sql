create view v with (check_option = cascaded) as select a from t;
