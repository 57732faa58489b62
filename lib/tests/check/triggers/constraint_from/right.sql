create constraint trigger x after insert on t from t2 for each row execute function f();
