create statistics s on (a + b), (b + c) from t;
