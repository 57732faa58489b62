create statistics app.s on a, b from t;
